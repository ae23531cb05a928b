"""Questions answered in words: yes/no in its three ways, visual question answering, captions."""

from __future__ import annotations

from support.awkward_pictures import awkward_cell, small_cell
from support.awkward_rows import (
    LONG,
    TEXT_SAYINGS,
    YES_NO_SAYINGS,
    AwkwardDataset,
    saying,
)


def pope(rows: int) -> AwkwardDataset:
    columns = ("index", "question", "answer", "category", "image")
    made = AwkwardDataset("POPE", columns)
    for number in range(rows):
        answer = ("Yes", "No")[number // 2 % 2]
        category = ("adversarial", "popular", "random")[number % 3]
        picture = str(number - 1) if number % 7 == 3 else awkward_cell(number)
        made.add(
            "Is there a temple in the image?",
            saying(YES_NO_SAYINGS, number, answer),
            answer=answer,
            category=category,
            image=picture,
        )
    return made


def mme(pairs: int) -> AwkwardDataset:
    """Two questions a picture; `.jpg` paths make upstream write the picture as JPEG twice."""
    columns = ("index", "image", "question", "answer", "category", "image_path")
    made = AwkwardDataset("MME", columns)
    for number in range(pairs):
        suffix = ("jpg", "png")[number % 2]
        # JPEG knows no palette and no alpha: upstream converts before it writes.
        picture = awkward_cell(number)
        for answer in ("Yes", "No"):
            position = len(made.rows)
            made.add(
                f"Is this {answer.lower()}? Please answer yes or no.",
                saying(YES_NO_SAYINGS, position, answer),
                image=picture if answer == "Yes" else str(position - 1),
                answer=answer,
                category=("existence", "count", "code_reasoning")[number % 3],
                image_path=f"{number:04d}.{suffix}",
            )
    return made


def hallusion(rows: int) -> AwkwardDataset:
    columns = ("index", "image", "question", "answer", "category", "l2-category")
    made = AwkwardDataset("HallusionBench", columns)
    for number in range(rows):
        category, second = ("VD", "VS")[number % 2], ("figure", "math")[number // 2 % 2]
        answer = ("Yes", "No")[number % 3 % 2]
        index = f"{category}_{second}_x_{number // 6}_{number // 2 % 3}_{number % 2}"
        tag = made.add(
            "Is the left line longer?",
            saying(YES_NO_SAYINGS, number, answer),
            # Upstream leaves out what has no picture.
            image=awkward_cell(number) if number % 16 != 15 else "",
            answer=answer,
            category=category,
        )
        made.rows[-1] |= {"index": index, "l2-category": second}
        assert tag in made.replies
    return made


def chartqa(rows: int) -> AwkwardDataset:
    """Every answer and every prediction looks like a number, but for one `None`."""
    columns = ("index", "question", "answer", "image", "split")
    made = AwkwardDataset("ChartQA_TEST", columns)
    for number in range(rows):
        answer = ("007", "5", "2.5", "1e3", "0", "-4", "100")[number % 7]
        said = (answer, answer, "3.50", "007", "12")[number % 5]
        made.add(
            "What is the value of the red bar?",
            "None" if number == rows - 2 else said,
            answer=answer,
            image=awkward_cell(number),
            split=("test_human", "test_augmented")[number % 2],
        )
    return made


def listed(name: str, rows: int) -> AwkwardDataset:
    """Ten (TextVQA) or two (DocVQA, InfoVQA) accepted answers, as a list in the cell."""
    made = AwkwardDataset(name, ("index", "image", "question", "answer"))
    words = ("red", "two", "temple street", "None", "it's", "$5.00")
    for number in range(rows):
        word = words[number % len(words)]
        answers = [word] * 7 + [f"a {word}", word.upper(), "x"]
        made.add(
            "What does the sign say?",
            saying(TEXT_SAYINGS, number, word),
            image=awkward_cell(number),
            answer=str(answers if name == "TextVQA_VAL" else answers[6:8]),
        )
    return made


def retyped(rows: int) -> AwkwardDataset:
    """Numbers only, and scored as text: one failed row decides how the whole column is read."""
    columns = ("index", "image", "question", "answer")
    made = AwkwardDataset("OCRVQA_TESTCORE", columns)
    for number in range(rows):
        picture = awkward_cell(number)
        made.add("Which number?", "007", image=picture, answer="007")
    return made


def paged(name: str, rows: int = 40, *, answers: bool = True) -> AwkwardDataset:
    """OCRVQA's and DocVQA's files name their pictures; a test split has no `answer`."""
    columns = ("index", "image", "question", "image_path")
    made = AwkwardDataset(name, (*columns, *(("answer",) if answers else ())))
    words = ("J. K. Rowling", "None", "yes", "1984", "=x", "Children's Books")
    for number in range(rows):
        word = words[number % len(words)]
        cells: dict[str, object] = {"answer": str([word])} if answers else {}
        made.add(
            "Who wrote this book?",
            saying(TEXT_SAYINGS, number, word),
            image=small_cell(number),
            image_path=f"{number // 2}/{number}.{('jpg', 'png')[number % 2]}",
            **cells,
        )
    return made


_OCR_CATEGORIES = (
    "Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition",
    "Handwriting Recognition", "Digit String Recognition", "Non-Semantic Text Recognition",
    "Scene Text-centric VQA", "Doc-oriented VQA", "Key Information Extraction",
    "Handwritten Mathematical Expression Recognition",
)  # fmt: skip


def ocrbench(rows: int) -> AwkwardDataset:
    """Every category of OCRBench; an answer is found in what was said, blanks and all."""
    columns = ("index", "image", "question", "answer", "category", "dataset")
    made = AwkwardDataset("OCRBench", columns)
    words = ("RED", "None", "007", "a = 1", "\\frac { 1 } { 2 }", "two words")
    for number in range(rows):
        word = words[number % len(words)]
        made.add(
            "what is written in the image?",
            saying(TEXT_SAYINGS, number, f"It says {word.replace(' ', '  ')}"),
            image=awkward_cell(number),
            answer=str([word, f"{word} "]),
            category=_OCR_CATEGORIES[number % len(_OCR_CATEGORIES)],
            dataset=("IIIT5K", "NA")[number % 2],
        )
    return made


def mtvqa(rows: int) -> AwkwardDataset:
    """One answer in one of nine languages; numbers and `None` among the answers."""
    columns = ("index", "image", "question", "answer", "category", "split")
    made = AwkwardDataset("MTVQA_TEST", columns)
    words = ("سوق", "Größe 4.", "寺", "None", "007", "l'été", "=1+1", "Рынок")
    languages = ("AR", "DE", "FR", "IT", "JA", "KR", "RU", "TH", "VI")
    for number in range(rows):
        word = words[number % len(words)]
        made.add(
            "ما هو مكتوب؟",
            saying(TEXT_SAYINGS, number, f"-{word.upper()}-"),
            image=small_cell(number),
            answer=word,
            category=languages[number % len(languages)],
            split="test",
        )
    return made


COCO_SAYINGS = (
    "A temple stands beside a river.", "None", "=1", "a red flower", "007", "Ein Tempel.",
    "a temple, with people in front of it; it's \"old\"\nand red", LONG, "flower flower flower",
)  # fmt: skip
"""What is said about a picture: COCO's file has no questions, so no row can carry a tag."""


def coco(rows: int) -> AwkwardDataset:
    """Five captions a picture, and no `question`: upstream asks the same about each."""
    columns = ("index", "image", "answer")
    made = AwkwardDataset("COCO_VAL", columns)
    for number in range(rows):
        thing = ("temple", "flower")[number % 2]
        captions = [f"A {word} {thing}." for word in ("red", "large", "old", "small")]
        row = {"index": 1000 + number, "image": awkward_cell(number)}
        made.rows.append(row | {"answer": str([*captions, f"it's the {thing}, =1"])})
    return made
