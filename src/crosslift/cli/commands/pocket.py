"""`crosslift pocket`: commands that print items of the pocket laboratory and pretrain its base models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.printing import say

app = typer.Typer(help="The pocket laboratory: generated parallel corpora and small base models.", no_args_is_help=True)


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="math or api_calling")],
    languages: Annotated[str, typer.Option(help="Language tags, separated by commas.")] = "en,sw",
    num_items: Annotated[int, typer.Option("--items", min=1, help="Number of items.")] = 3,
    split: Annotated[str, typer.Option(help="train, validation or test")] = "train",
) -> None:
    """Print items of a pocket corpus in the given languages."""
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.readers.general import pocket

    tags = tuple(tag.strip() for tag in languages.split(","))
    source = Source(name="pocket", reader="pocket", task=task, split=split, languages=tags, max_items=num_items)
    for row in pocket.read(source).rows.iter_rows(named=True):
        typer.secho(f"{row['item_id']}  {row['language']}", fg="cyan")
        for message in row["messages"]:
            say(message["content"])
        say()


@app.command()
def pretrain(
    name: Annotated[str, typer.Argument(help="Name of the model, such as qwen3-m; an unknown name lists all.")],
    folder: Annotated[Path, typer.Argument(help="Working folder for the text, the state and the finished model.")],
    num_workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that generate the text.")] = 2,
    num_tokens: Annotated[int | None, typer.Option("--tokens", min=1, help="Overrides the recipe's length.")] = None,
    compile: Annotated[bool, typer.Option(help="Use torch.compile, which needs a C++ compiler.")] = False,
) -> None:
    """Pretrain a pocket model, on a GPU if available. A restart resumes from the last state."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from crosslift.pocket.pretrain import pretrain as run

    columns = (TextColumn(name), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns) as progress:
        bar = progress.add_task("writing text", total=None)

        def report(step: int, num_steps: int, loss: float, rate: float) -> None:
            progress.update(bar, completed=step, total=num_steps, description=f"loss {loss:.3f}  {rate:,.0f} tokens/s")

        made = run(name, folder, num_tokens=num_tokens, num_workers=num_workers, compile=compile, report=report)
    say(f"Written: {made}")
