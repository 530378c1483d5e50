"""`genclient completion SHELL`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click

from genclient.cli.console import emit

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_GENCLIENT_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands.

    \b
    eval "$(genclient completion bash)"                                        # in ~/.bashrc
    eval "$(genclient completion zsh)"                                         # in ~/.zshrc
    genclient completion fish > ~/.config/fish/completions/genclient.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    emit(made(context.find_root().command, {}, "genclient", VARIABLE).source() + "\n")
