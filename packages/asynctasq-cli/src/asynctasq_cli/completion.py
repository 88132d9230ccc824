"""``asynctasq completion``: a script that lets the shell complete commands and options."""

# pyright: reportUnknownMemberType=false
# click leaves a type parameter of its decorators open

import rich_click as click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script for the shell to read at its start.

    \b
    asynctasq completion bash > ~/.local/share/bash-completion/completions/asynctasq
    asynctasq completion zsh > ~/.zfunc/_asynctasq
    asynctasq completion fish > ~/.config/fish/completions/asynctasq.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "click knows the shells of the choice"
    root = context.find_root()
    name = root.info_name or "asynctasq"
    click.echo(made(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
