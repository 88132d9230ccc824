"""``asynctasq completion``: prints a script that completes commands and options in the shell."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import rich_click as click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for the shell.

    \b
    asynctasq completion bash > ~/.local/share/bash-completion/completions/asynctasq
    asynctasq completion zsh > ~/.zfunc/_asynctasq
    asynctasq completion fish > ~/.config/fish/completions/asynctasq.fish
    """
    completer = get_completion_class(shell)
    assert completer is not None, "click supports every shell of the choice"
    root = context.find_root()
    name = root.info_name or "asynctasq"
    click.echo(completer(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
