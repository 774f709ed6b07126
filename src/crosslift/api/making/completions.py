"""Completions of open prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.api.failures import user_errors
from crosslift.api.running import nothing

if TYPE_CHECKING:
    from crosslift.completion.complete import Estimate, Outcome


@dataclass(frozen=True, kw_only=True)
class CompletedCorpus:
    """Completions of open prompts."""

    estimate: Estimate
    """Requests, tokens and the highest cost, before anything is asked."""
    outcome: Outcome | None
    """Completions that were kept and dropped; None if only the estimate was requested."""
    counts: Mapping[str, Mapping[str, Any]]
    """Language -> train, validation, asked, dropped and prompts_dropped, as in the manifest; empty without outcome."""


@user_errors()
def complete(
    recipe: str | Path,
    folder: str | Path,
    *,
    site: str | Path = "site.toml",
    data: str | Path | None = None,
    dry_run: bool = False,
    progress: Callable[[str], None] = nothing,
) -> CompletedCorpus:
    """Let a model answer open prompts in several languages, and write its answers as training data.

    A repeated call resumes an interrupted one and sends no request twice.

    Args:
        recipe: TOML file, or the name of a recipe.
        folder: output folder.
        site: site file with the table [completion].
        data: path of the prompts; overrides the path in the recipe.
        dry_run: only estimate the cost.
        progress: receives lines of progress.

    Returns:
        The estimate, the completions and their counts.

    Raises:
        StudyError: the recipe or the site file is invalid.
        CorpusError: the prompts cannot be read, or there are too few of them.
        EndpointError: the endpoint rejects the requests, or does not reply to some.
    """
    from crosslift.completion import corpus
    from crosslift.completion.complete import Completions
    from crosslift.completion.prompts import queues_of, read_prompts
    from crosslift.completion.recipe import load_recipe, load_service
    from crosslift.remote.journal import Journal
    from crosslift.system.files import expect_folder
    from crosslift.system.leases import waiting_lease

    target = Path(folder)
    expect_folder(target)
    loaded = load_recipe(Path(recipe), data=None if data is None else Path(data))
    service = load_service(Path(site))
    prompts = read_prompts(loaded)
    known = Journal.read(target / corpus.JOURNAL)
    expected = Completions(loaded, service, queues_of(loaded, prompts), known).estimate()
    cost = "" if expected.max_cost is None else f", at most {expected.max_cost:,.2f} at the site's prices"
    progress(
        f"{loaded.num_items + loaded.num_validation:,} completions in each of {', '.join(loaded.source.languages)} by "
        f"{service.endpoint.model}: {expected.num_requests:,} requests ({expected.num_known:,} known replies), "
        f"about {expected.num_prompt_tokens:,} prompt tokens and at most {expected.max_completion_tokens:,} completion "
        f"tokens{cost}. Completions that are dropped are replaced by further requests."
    )
    if dry_run:
        return CompletedCorpus(estimate=expected, outcome=None, counts={})
    with waiting_lease(target) as lease, Journal(target / corpus.JOURNAL) as journal:
        work = Completions(loaded, service, queues_of(loaded, prompts), journal.entries, add=journal.add)
        outcome = work.complete(say=progress, check=lease.check)
        corpus.write_corpus(target, loaded, service, prompts, outcome)
    return CompletedCorpus(estimate=expected, outcome=outcome, counts=corpus.counts(loaded, outcome))
