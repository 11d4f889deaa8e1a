"""Which app a command works on, and which AWS: what ``-A`` and the AWS options come to.

Standalone, :class:`Invocation` is the context's object and imports the app when a command asks for it. Under ``celery``
the context's object is Celery's own, with the app imported; :func:`invocation` makes the same of both.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.errors import ConfigurationError

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.aws import ControlPlane
    from sfini_celery.workflow import Workflow

__all__ = [
    "Invocation",
    "aws_options",
    "find_app",
    "import_module",
    "invocation",
    "json_option",
    "workflow_named",
]

AWS_OPTIONS: dict[str, dict[str, Any]] = {
    "--region": {"help": "AWS region; what the app or the AWS configuration says without it."},
    "--profile": {"help": "AWS profile; what the app or the AWS configuration says without it."},
    "--endpoint-url": {"metavar": "URL", "help": "Where Step Functions is, as for `sfini-celery local`."},
}

NO_APP = "no Celery app was named; name it with -A (as in `-A proj`) or set CELERY_APP"

NOTHING_DECLARED = "the app {!r} has no activities; decorate a task with @app.activity, or include the module that does"


def find_app(name: str) -> Any:
    """Import the Celery app that ``-A`` names, as Celery does.

    Parameters:
        name: a module, a module and an attribute (``proj:app``), or a package with a ``celery`` module

    Raises:
        ConfigurationError: it cannot be imported, or holds no Celery app; says which
    """
    from celery import Celery
    from celery.app.utils import find_app as celerys_find_app

    module, _, attribute = name.partition(":")
    if not module or module.startswith("."):
        raise ConfigurationError(f"-A {name}: name a module, as in `-A proj` or `-A proj.celery:app`")
    if module.endswith(".py"):
        raise ConfigurationError(f"-A {name}: name the module, not its file: leave out the .py")
    import_module(module, by="-A ", or_parent=True)
    try:
        app = celerys_find_app(name)
    except (AttributeError, ImportError):
        if attribute:
            raise ConfigurationError(f"-A {name}: module {module!r} has no {attribute!r}{_apps_in(module)}") from None
        raise ConfigurationError(f"-A {name}: there is no Celery app in it{_apps_in(module)}") from None
    if not isinstance(app, Celery):
        raise ConfigurationError(f"-A {name}: that is a {type(app).__name__}, not a Celery app{_apps_in(module)}")
    return app


def import_module(module: str, *, by: str = "", or_parent: bool = False) -> Any:
    """Import a module, also from the current folder.

    Parameters:
        module: its name
        by: what named it, for the message
        or_parent: whether its last part may be an attribute of its parent, which is returned then

    Raises:
        ConfigurationError: it cannot be imported; says why
    """
    from celery.utils.imports import import_from_cwd

    try:
        return import_from_cwd(module)
    except ModuleNotFoundError as error:
        parent = module.rpartition(".")[0]
        if or_parent and error.name == module and parent in sys.modules:
            return sys.modules[parent]  # proj.app: the app's own finder looks for an attribute
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            hint = f"run from the folder that holds it (this is {Path.cwd()}) or give --workdir"
            raise ConfigurationError(f"{by}{module}: there is no module {error.name!r}; {hint}") from None
        raise _does_not_import(by + module, error) from error
    except (Exception, SystemExit) as error:
        raise _does_not_import(by + module, error) from error


def _does_not_import(what: str, error: BaseException) -> ConfigurationError:
    why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConfigurationError(f"{what}: importing it failed with {why} (--traceback shows where)")


def _apps_in(module: str) -> str:
    from celery import Celery

    holder = sys.modules.get(module) or sys.modules[module.rpartition(".")[0]]
    found = [name for name, value in vars(holder).items() if isinstance(value, Celery)]
    if found:
        return f"; write -A {holder.__name__}:{found[0]}"
    return "; write -A MODULE:NAME where NAME is a celery.Celery or SfiniCelery"


class Invocation:
    """What the options before the command say.

    Attributes:
        app_name: as given with ``-A``, None when it was not
        no_color: whether to leave out colours
        quiet: whether to print less
    """

    def __init__(
        self, *, app_name: str | None = None, app: Any = None, no_color: bool = False, quiet: bool = False
    ) -> None:
        self.app_name = app_name
        self.no_color = no_color
        self.quiet = quiet
        self._app = app
        self._aws: dict[str, str] = {}

    @property
    def names_app(self) -> bool:
        """Whether there is an app to work on."""
        return self._app is not None or bool(self.app_name)

    @property
    def app(self) -> Any:
        """The Celery app, imported at the first use.

        Raises:
            ConfigurationError: none was named, or it cannot be had
        """
        if self._app is None:
            if not self.app_name:
                raise ConfigurationError(NO_APP)
            self._app = find_app(self.app_name)
        return self._app

    def use_aws(self, options: dict[str, Any]) -> None:
        """Take ``--region``, ``--profile`` and ``--endpoint-url`` out of a command's options."""
        for flag in AWS_OPTIONS:
            option = flag[2:].replace("-", "_")
            if value := options.pop(option, None):
                self._aws[option] = value

    def use_account(self, account: str) -> None:
        """Take this account's number for the app's, so that AWS is not asked for it."""
        self._aws["account"] = account

    @property
    def sfn(self) -> StepFunctions:
        """The app's Step Functions, its tasks imported, its settings checked.

        Raises:
            ConfigurationError: there is no app, it knows nothing of Step Functions, or a setting is wrong
        """
        sfn = self.unchecked_sfn
        sfn.settings.check()
        return sfn

    @property
    def unchecked_sfn(self) -> StepFunctions:
        """As :attr:`sfn`, for a command that looks at the settings itself."""
        app = self.app
        sfn: StepFunctions | None = getattr(app, "sfn", None)
        if sfn is None:
            raise ConfigurationError(
                f"the Celery app {app.main!r} is not joined to Step Functions; "
                "make it a SfiniCelery, or add sfn = StepFunctions(app)"
            )
        for option, value in self._aws.items():
            setattr(app.conf, f"sfn_{option}", value)
        app.loader.import_default_modules()
        return sfn

    @property
    def control(self) -> ControlPlane:
        """The app's control plane; without an app, one for the AWS configuration at hand."""
        if self.names_app:
            return self.sfn.control
        from sfini_celery.aws import ControlPlane
        from sfini_celery.config import Settings

        settings = Settings({f"sfn_{option}": value for option, value in self._aws.items()})
        return ControlPlane(region=settings.region, profile=settings.profile, endpoint_url=settings.endpoint_url)


def invocation(ctx: click.Context) -> Invocation:
    """The invocation a command belongs to, whichever of the two entry points it came through."""
    found = ctx.meta.get(__name__)
    if found is None:
        found = ctx.obj if isinstance(ctx.obj, Invocation) else _of_celery(ctx)
        ctx.meta[__name__] = found
    return found


def _of_celery(ctx: click.Context) -> Invocation:
    obj = ctx.obj
    named = ctx.find_root().params.get("app")
    if obj is None or not named:
        return Invocation()
    return Invocation(app=obj.app, no_color=bool(obj.no_color), quiet=bool(obj.quiet))


def workflow_named(sfn: StepFunctions, name: str) -> Workflow:
    """The app's workflow of this name, with or without the prefix.

    Raises:
        click.UsageError: there is none
    """
    for workflow in sfn.workflows.values():
        if name in (workflow.name, workflow.full_name):
            return workflow
    near = difflib.get_close_matches(name, sfn.workflows, n=1)
    known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(sfn.workflows)) or 'none'}"
    raise click.UsageError(f"there is no workflow {name!r} in this app; {known}")


def machine_arn(asked: Invocation, workflow: str) -> str:
    """The ARN of a workflow's state machine; what is an ARN already is handed back, and needs no app.

    Raises:
        click.UsageError: there is no such workflow
    """
    return workflow if workflow.startswith("arn:") else workflow_named(asked.sfn, workflow).arn


def aws_options(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every command that talks to AWS; its callback gets the :class:`Invocation`."""

    @click.pass_context
    @wraps(callback)
    def command(ctx: click.Context, /, **options: Any) -> Any:
        asked = invocation(ctx)
        asked.use_aws(options)
        return callback(asked, **options)

    decorated: Callable[..., Any] = command
    for flag, attributes in reversed(AWS_OPTIONS.items()):
        decorated = click.option(flag, **attributes)(decorated)
    return decorated


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
