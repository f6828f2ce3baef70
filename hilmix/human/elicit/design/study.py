"""A study as it is served: the manifest with what requests look up in it, and its texts as HTML."""

from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from hilmix.errors import DataError
from hilmix.human.elicit.design.manifest import (
    ANSWERS,
    IMAGES,
    Batch,
    Manifest,
    Stimulus,
    Task,
    Trial,
    hash_manifest,
    read_manifest,
)


@dataclass(frozen=True)
class Study:
    """The manifest of ``folder``, its trials by id, the files of each batch, and sanitised HTML of the texts."""

    folder: Path
    manifest: Manifest
    sha256: str
    trials: dict[int, Trial]
    files: dict[int, frozenset[str]]
    consent: str
    statements: tuple[str, ...]
    instructions: dict[Task, str]
    thanks: str
    examples: dict[Task, str]
    answers: Path | None = None
    """File for the answers of a preview, instead of that in the folder."""

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """Reads a study folder.

        Raises:
            DataError: if the manifest is not valid or an image is missing.
        """
        manifest = read_manifest(folder)
        # No raw HTML: what a researcher pastes into a text cannot become a script on a participant's page.
        markdown = MarkdownIt("commonmark", {"html": False})
        files = {batch.id: _files(manifest, batch) for batch in manifest.batches}
        # Sorted, so that the first missing file named is the same on every run.
        for name in sorted(frozenset[str]().union(*files.values())):
            if not (folder / IMAGES / name).is_file():
                raise DataError(f"'{folder / IMAGES / name}' is missing; study.json shows it. Build the study again.")
        return cls(
            folder=folder,
            manifest=manifest,
            sha256=hash_manifest(folder),
            trials={trial.id: trial for batch in manifest.batches for trial in batch.trials},
            files=files,
            consent=markdown.render(manifest.consent_text),
            statements=tuple(markdown.renderInline(statement) for statement in manifest.statements),
            instructions={task: markdown.render(text) for task, text in manifest.instructions.items()},
            thanks=markdown.render(manifest.thanks),
            examples={task: markdown.render(example.text) for task, example in manifest.examples.items()},
        )

    @property
    def answers_file(self) -> Path:
        return self.answers or self.folder / ANSWERS

    @property
    def num_classes(self) -> int:
        return len(self.manifest.dataset.classes)

    def image_file(self, name: str) -> Path:
        return self.folder / IMAGES / name

    def stimulus(self, trial: int) -> Stimulus:
        """Returns what a trial shows."""
        return self.manifest.stimuli[self.trials[trial].stimulus]


def _files(manifest: Manifest, batch: Batch) -> frozenset[str]:
    shown = {name for trial in batch.trials for name in manifest.stimuli[trial.stimulus].images}
    example = manifest.examples.get(batch.task)
    return frozenset(shown if example is None else {*shown, example.image})
