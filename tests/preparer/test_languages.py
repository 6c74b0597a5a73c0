"""Languages are said when they are plain, and not else."""

# ruff: noqa: E501, RUF001
from __future__ import annotations

import pytest

from studio.preparer.language_words import COMMON
from studio.preparer.languages import NAMES, UNSURE, of_rows
from studio.preparer.words import Batch, words_of

SAID = {
    "English": "What is the capital of France? The capital of France is Paris, on the Seine.",
    "German": "Was ist die Hauptstadt von Frankreich? Paris ist es, und es liegt an der Seine.",
    "French": "Quelle est la capitale de la France ? C'est Paris, qui se trouve sur la Seine.",
    "Spanish": "¿Cuál es la capital de Francia? La capital es París, que está en el río Sena.",
    "Portuguese": "Qual é a capital da França? A capital é Paris, que fica no rio Sena, não em Lyon.",
    "Italian": "Qual è la capitale della Francia? La capitale è Parigi, che si trova sulla Senna.",
    "Dutch": "Wat is de hoofdstad van Frankrijk? Het is Parijs, dat aan de Seine ligt en niet zuid.",
    "Polish": "Jaka jest stolica Francji? To jest Paryż, który leży nad rzeką, a nie na południu.",
    "Swedish": "Vad är huvudstaden i Frankrike? Det är Paris, som ligger vid Seine och inte i Lyon.",
    "Danish or Norwegian": "Hva er hovedstaden i Frankrike? Det er Paris, som ligger ved Seinen og "
    "ikke i Lyon.",
    "Finnish": "Mikä on pääkaupunki? Se on Pariisi, joka on joen rannalla, mutta se ei ole kuin Lyon.",
    "Turkish": "Fransa'nın başkenti ne? Başkent Paris ve bu şehir çok güzel, ama o kadar büyük değil.",
    "Czech": "Jaké je hlavní město Francie? Je to Paříž, která leží na řece a není to jako Lyon.",
    "Hungarian": "Mi az a nagy város, ami a folyó mellett van? Ez Párizs, és nem csak egy város, hanem a főváros is.",
    "Romanian": "Care este capitala? Capitala este Paris, care se află pe un râu și nu este ca Lyon.",
    "Indonesian": "Apa ibu kota negara itu? Ibu kota adalah Paris, yang ada di tepi sungai dan tidak di laut.",
    "Vietnamese": "Thủ đô của nước Pháp là gì? Thủ đô là Paris, một thành phố ở trên sông và không có biển.",
    "Bulgarian": "Коя е столицата на Франция? Това е Париж, който се намира на река, а не на море, както Марсилия.",
    "Russian": "Какая столица у Франции? Это Париж, и он стоит на реке, а не на море, как Марсель.",
    "Ukrainian": "Яка столиця у Франції? Це Париж, і він стоїть на річці, а не на морі, як Марсель.",
    "Japanese": "フランスの首都はどこですか。フランスの首都はパリで、セーヌ川のほとりにあります。",
    "Chinese": "法国的首都是哪里？法国的首都是巴黎，位于塞纳河畔，是一座非常美丽的城市。",
    "Korean": "프랑스의 수도는 어디입니까? 프랑스의 수도는 센 강변에 있는 파리입니다.",
    "Greek": "Ποια είναι η πρωτεύουσα της Γαλλίας; Είναι το Παρίσι, στον Σηκουάνα.",
    "Thai": "เมืองหลวงของฝรั่งเศสคืออะไร เมืองหลวงคือปารีส",
}
UNPLAIN = [
    "",
    "Paris",
    "def f(x): return [i for i in range(x)]  # import numpy as np; print(f(10))",
    '{"order": 978, "item": "national necklace", "to": "Max", "paid": true}',
    "3 + 4 = 7; 12 * 12 = 144",
    "The cat is on the roof of the house. Die Katze ist auf dem Dach, und sie schläft nicht.",
    "Please say hello in Russian: Здравствуйте, как ваши дела сегодня",
]


def spoken(texts: list[str]) -> list[str]:
    found = of_rows(texts, Batch([words_of(text) for text in texts]))
    return [NAMES[place] if place != UNSURE else "" for place in found.tolist()]


def test_plain_languages_are_known() -> None:
    assert dict(zip(SAID, spoken(list(SAID.values())), strict=True)) == {n: n for n in SAID}


@pytest.mark.parametrize("text", UNPLAIN)
def test_what_is_not_plain_is_not_said(text: str) -> None:
    assert spoken([text, SAID["German"]]) == ["", "German"]


def test_no_language_is_all_in_another() -> None:
    for name, words in COMMON.items():
        for other, more in COMMON.items():
            shared = set(words.split()) & set(more.split())
            assert name == other or len(shared) < 0.8 * len(set(words.split())), (name, other)
