"""Runs cases: starts the gateways with the providers of all cases, and plays a few at a time."""

from __future__ import annotations

import base64
import contextlib
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.acceptance.cases import POOR, RICH, THROTTLED, Case, CheckFailed, Stage
from scripts.acceptance.clients import claude_code, codex, programs
from scripts.acceptance.gateway import Gateway, running_gateway
from scripts.acceptance.installation import Clients
from scripts.acceptance.upstreams import Provider, running_providers
from tests.scripted_provider import Received, running_upstream

SIDE_BY_SIDE: Final = 3
"""Cases at a time: a client mostly waits for its own start."""

SETTINGS: Final[Mapping[str, Any]] = {
    "ATTEMPTS": {"RETRIES": 0},
    "LIMITS": [{"SUBJECT": f"user:{POOR}", "METRIC": "cost", "AMOUNT": "0", "WINDOW": "month"}],
    "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "1000/m"},
    "MAINTENANCE": {"AUTOMATIC": False},
}
PRICE: Final = {"INPUT": "1", "OUTPUT": "10"}
KEEPING: Final[Mapping[str, Any]] = {"RESPONSES": {"STORE": True, "DAYS": 1}}


@dataclass(frozen=True)
class Outcome:
    """How a case ended. `problem` is empty if all was as it should be."""

    stage: Stage
    problem: str
    seconds: float


def all_cases() -> list[Case]:
    return [*codex.cases(), *claude_code.cases(), *programs.cases()]


def run_cases(
    cases: Sequence[Case], clients: Clients, folder: Path, report: Callable[[Outcome], None]
) -> tuple[list[Outcome], list[str]]:
    """The outcomes in the order of the cases, and what else went wrong. `report` gets each outcome
    as soon as it is there."""
    with (
        prepared_providers(cases) as providers,
        running_gateways(cases, providers, folder) as gateways,
        running_upstream() as proxy,
        ThreadPoolExecutor(SIDE_BY_SIDE) as pool,
    ):
        stages = [
            Stage(
                case,
                clients,
                gateways[case.keeps_responses],
                providers[case.name],
                folder / case.name,
                f"http://{case.name}@127.0.0.1:{proxy.port}",
            )
            for case in cases
        ]
        playing = {pool.submit(play, stage): stage for stage in stages}
        outcomes = {}
        for done in as_completed(playing):
            outcome = outcomes[playing[done].case] = done.result()
            report(outcome)
        problems = {failure for gateway in gateways.values() for failure in gateway.failures()}
        problems |= {describe_other_host(received) for received in proxy.requests}
    return [outcomes[case] for case in cases], sorted(problems)


@contextlib.contextmanager
def prepared_providers(cases: Sequence[Case]) -> Iterator[dict[str, Provider]]:
    with running_providers({case.name: case.wire for case in cases}) as providers:
        for case in cases:
            provider = providers[case.name]
            provider.breaks_streams = case.breaks_streams
            provider.model = case.provider_model or provider.model
        yield providers


def describe_other_host(received: Received) -> str:
    """A request for another host than the gateway. The user in the proxy's URL is the case."""
    credentials = received.headers.get("proxy-authorization", "").removeprefix("Basic ")
    case = base64.b64decode(credentials).decode().rstrip(":")
    return f"{case or 'A client'} asked another host: {received.path}"


@contextlib.contextmanager
def running_gateways(
    cases: Sequence[Case], providers: Mapping[str, Provider], folder: Path
) -> Iterator[dict[bool, Gateway]]:
    """Whether it keeps responses -> the gateway."""
    with contextlib.ExitStack() as stack:
        gateways = {}
        for keeps in sorted({case.keeps_responses for case in cases}):
            own = [case for case in cases if case.keeps_responses == keeps]
            owners = {case.name: case.user for case in own}
            settings = {**SETTINGS, **routes(own, providers), **(KEEPING if keeps else {})}
            place = folder / ("gateway-that-keeps" if keeps else "gateway")
            owners[THROTTLED] = f"{RICH}=1/h"
            gateways[keeps] = stack.enter_context(running_gateway(place, settings, owners))
        yield gateways


def routes(cases: Sequence[Case], providers: Mapping[str, Provider]) -> dict[str, Any]:
    return {
        "PROVIDERS": {
            case.name: {
                **providers[case.name].wire.build_settings(providers[case.name].url),
                "PRICE": PRICE,
            }
            for case in cases
        },
        "MODELS": {
            case.route: {"TARGETS": [{"PROVIDER": case.name, "MODEL": providers[case.name].model}]}
            for case in cases
            if case.route
        },
    }


def play(stage: Stage) -> Outcome:
    begun = time.monotonic()
    try:
        stage.case.play(stage)
        problem = ""
    except CheckFailed as error:
        problem = str(error)
    except Exception:
        problem = traceback.format_exc()
    return Outcome(stage, problem, time.monotonic() - begun)
