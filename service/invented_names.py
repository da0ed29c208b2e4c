"""Names that players of a game might have, from several cultures and in the ways people write them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Culture:
    """Given and family names that go together, and how far their bearers' clocks are from UTC, in hours."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    utc_offset_h: int
    family_first: bool = False


def _culture(given: str, family: str, utc_offset_h: int, *, family_first: bool = False) -> Culture:
    return Culture(_words(given), _words(family), utc_offset_h, family_first)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CULTURES = (
    _culture(
        "Olivia Noah Amelia Liam Charlotte Ethan Harper Mason Grace Logan Zoe Caleb Hannah Owen Ruby Jack",
        "Smith Johnson Carter Bennett Hughes Walker Reed Murphy Foster Brooks Palmer O'Connor",
        -6,
    ),
    _culture(
        "Sofía Mateo Valentina Santiago Camila Diego Lucía Joaquín Ximena Emilio Renata Andrés Inés Álvaro",
        "García Hernández López Ramírez Torres Núñez Vargas Castillo Peña Ibáñez",
        -5,
    ),
    _culture(
        "Helena Miguel Alice Davi Laura João Manuela Thiago Beatriz Caio Larissa Vinícius",
        "Silva Souza Oliveira Pereira Araújo Gonçalves Ribeiro Magalhães",
        -3,
    ),
    _culture(
        "Emma Lukas Mia Finn Léa Hugo Chloé Théo Anouk Jürgen Käthe Sören Astrid Björn Fenna Daan",
        "Müller Schmidt Weiß Dubois Lefèvre Moreau Jansen Larsen Lindström Virtanen Rossi Bianchi",
        1,
    ),
    _culture(
        "Zofia Jakub Łucja Szymon Kateřina Tomáš Ildikó Bence Ioana Andrei Milica Željko",
        "Kowalska Wiśniewski Nováková Dvořák Nagy Szabó Popescu Jovanović",
        1,
    ),
    _culture(
        "Анна Дмитро Олена Тарас Мария Иван София Максим Дарья Никита Елена Кирилл",
        "Шевченко Коваль Бондаренко Мельник Гончар Ткач",
        3,
    ),
    _culture("Ελένη Γιώργος Μαρία Νίκος Δήμητρα Κώστας", "Παππάς Νικολάου Γεωργίου Οικονόμου", 2),
    _culture("Elif Emre Zeynep Çağla Mert Ayşe Oğuz Şule Yiğit Gülşen", "Yılmaz Kaya Demir Öztürk Aydın Çelik", 3),
    _culture("ليلى عمر فاطمة يوسف مريم خالد نور كريم سلمى طارق", "حداد الخطيب منصور النجار العلي", 3),
    _culture("Amina Yusuf Chidi Ngozi Tunde Adaeze Kwame Ama Wanjiru Otieno Zawadi Thabo", "Okafor Adeyemi Mensah", 1),
    _culture("आरव दीया अर्जुन अनन्या विवान मीरा रोहन सान्या कबीर ईशा", "शर्मा वर्मा पटेल सिंह गुप्ता मेहता", 5),
    _culture("Priya Rahul Ananya Karthik Divya Vikram Lakshmi Arjun Nisha Sanjay", "Iyer Reddy Nair Banerjee Das", 5),
    _culture("Minh Linh Hùng Thảo Phương Đức Trang Quân", "Nguyễn Trần Lê Phạm Hoàng", 7, family_first=True),
    _culture("Putri Budi Dewi Agus Siti Rizky Ayu Bagus", "Santoso Wijaya Pratama Lestari", 7),
    _culture("伟 芳 娜 敏 静 磊 洋 艳 勇 杰 雪 晨", "王 李 张 刘 陈 杨 赵 黄 周 吴", 8, family_first=True),
    _culture("陽菜 蓮 結衣 湊 さくら 樹 葵 大翔 美咲 翔太", "佐藤 鈴木 高橋 田中 渡辺 山本", 9, family_first=True),
    _culture("서연 민준 지우 도윤 하은 예준 수아 시우", "김 이 박 최 정 강", 9, family_first=True),
)
# How many of a hundred players each culture has; in the order above.
_WEIGHTS = (16, 11, 8, 12, 6, 6, 2, 4, 4, 5, 3, 5, 4, 3, 5, 4, 2)

_ADJECTIVES = _words("Swift Silent Lucky Iron Crimson Cosmic Sneaky Frozen Golden Rogue Electric Sleepy Mighty Velvet")
_NOUNS = _words("Fox Otter Falcon Wolf Panda Comet Badger Ninja Dragon Noodle Phoenix Pixel Walrus Viper Goblin")


def invent_culture(rng: Random) -> Culture:
    """Where a new player comes from."""
    return rng.choices(CULTURES, _WEIGHTS)[0]


def invent_name(rng: Random, culture: Culture) -> str:
    """What a player of a culture calls itself: a whole name, a short one with a number, or a nickname."""
    style = rng.random()
    if style < 0.25:
        return f"{rng.choice(_ADJECTIVES)}{rng.choice(_NOUNS)}{rng.randrange(1000)}"
    given, family = rng.choice(culture.given), rng.choice(culture.family)
    if style < 0.55:
        return f"{family} {given}" if culture.family_first else f"{given} {family}"
    if style < 0.75:
        return f"{given}{rng.randrange(1, 10_000)}"
    if style < 0.9:
        return f"{given.lower()}_{family.lower()}{rng.randrange(100)}"
    return f"{given}.{rng.choice(_NOUNS)}"
