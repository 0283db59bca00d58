"""``terminal.json``: who a capture point is and where its deliveries go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from card_io.capture.errors import CaptureError
from card_io.records import Mode

SETTINGS: Final = "terminal.json"

ServiceName = Literal["transit", "medical", "utility", "retail", "load"]


class SettingsError(CaptureError):
    """``terminal.json`` is missing or malformed."""


class Place(BaseModel):
    """Where a transit terminal stands.

    Attributes:
        mode: metro or bus.
        line: line or route number.
        station: number of the station, up to 24 bits; 0 on a bus without stops in its table.
        city: city code, 4 hexadecimal digits.
        institution: acquiring institution, 16 hexadecimal digits.
        vehicle: vehicle or gate.
        direction: 0 unknown, 1 up, 2 down.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["metro", "bus"]
    line: Annotated[int, Field(ge=0, le=2**32 - 1)]
    station: Annotated[int, Field(ge=0, le=2**24 - 1)] = 0
    city: Annotated[str, Field(pattern=r"^[0-9A-F]{4}$")] = "2900"
    institution: Annotated[str, Field(pattern=r"^[0-9A-F]{16}$")] = "0000000000000000"
    vehicle: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    direction: Annotated[int, Field(ge=0, le=2)] = 0

    @property
    def record_mode(self) -> Mode:
        """``mode`` as records carry it."""
        return Mode[self.mode.upper()]


class Token(BaseModel):
    """A security module behind PKCS#11: its library (for SoftHSM2 `libsofthsm2.so`), and the label of the token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    library: Path
    label: str


class TerminalSettings(BaseModel):
    """One terminal; relative paths are relative to its folder.

    Attributes:
        terminal_id: PSAM number, 12 hex digits.
        merchant_id: participant number of the payee (of the agent for loads).
        sender: participant number under which it delivers.
        services: what it captures.
        drop: folder that takes deliveries: the centre's inbox, or what is synchronised with it.
        answers: folder in which the centre's answers to the sender arrive.
        signing_key: file with the sender's Ed25519 seed (64 hex digits) registered for this terminal.
        centre_key: file with the centre's public key (64 hex digits), which signs parameter files.
        parameters: folder with the centre's parameter files.
        grey_hold_seconds: how long an undecided grey record waits for its card before it is delivered as one.
        keystore: key store of the terminal's software SAM (and of the issuer's host, for loads).
        token: instead of the key store, the security module that holds the keys; the passphrase is its PIN.
        place: of a transit terminal: mode ("metro" or "bus"), line, station, city, institution, vehicle, direction.
        test: captured rows are test records, which the centre counts and never posts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    terminal_id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    merchant_id: Annotated[int, Field(ge=1, le=2**32 - 1)]
    sender: Annotated[int, Field(ge=1, le=2**32 - 1)]
    services: tuple[ServiceName, ...]
    drop: Path
    answers: Path
    signing_key: Path
    centre_key: Path | None = None
    parameters: Path | None = None
    grey_hold_seconds: Annotated[int, Field(ge=0)] = 86_400
    keystore: Path | None = None
    token: Token | None = None
    place: Place | None = None
    test: bool = False

    @property
    def terminal_number(self) -> int:
        """``terminal_id`` as the big-endian integer of its six bytes."""
        return int(self.terminal_id, 16)


def load_settings(folder: Path) -> TerminalSettings:
    """Read ``terminal.json`` of a capture point; its paths come back resolved.

    Raises:
        SettingsError: naming the field, its value and what to do.
    """
    path = folder / SETTINGS
    try:
        settings = TerminalSettings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})", "name the terminal's folder") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise SettingsError(f"{path}: {field} is {problem['input']!r:.80}", problem["msg"]) from None
    names = ("drop", "answers", "signing_key", "centre_key", "parameters", "keystore")
    found = {name: getattr(settings, name) for name in names}
    return settings.model_copy(update={name: folder / at for name, at in found.items() if at is not None})
