"""Words of every language, and names as programs write them, are found by themselves and by their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from enhanced_memory.tests.store.conftest import Place

FOUND: list[tuple[str, str, str]] = [
    ("chinese-two", "我昨天在北京大学听了讲座", "北京"),
    ("chinese-inside", "我昨天在北京大学听了讲座", "京大"),
    ("chinese-one", "我家的猫很可爱", "猫"),
    ("chinese-one-at-the-end", "他最喜欢养猫", "猫"),
    ("chinese-question", "小明去年搬到了上海", "小明什么时候搬到上海的？"),
    ("chinese-traditional", "他喜歡喝烏龍茶", "烏龍茶"),
    ("japanese-kanji", "東京都の天気は晴れです", "天気"),
    ("japanese-question", "来週は大阪へ出張します", "大阪の出張はいつですか？"),
    ("japanese-katakana", "新しいコンピュータを買った", "コンピュータ"),
    ("japanese-half-width", "新しいｺﾝﾋﾟｭｰﾀを買った", "コンピュータ"),
    ("japanese-hiragana", "りんごを食べた", "りんご"),
    ("japanese-one", "京都", "都"),
    ("korean-two", "서울의 날씨가 좋다", "서울"),
    ("korean-other-ending", "서울에서 만났다", "서울은 어디"),
    ("korean-one", "서울의 봄", "봄"),
    ("mixed-scripts", "iPhone手机壳到货了", "手机壳"),
    ("mixed-scripts-latin", "iPhone手机壳到货了", "iphone"),
    ("mixed-in-one-query", "met Tanaka in 東京 on Friday", "tanaka 東京"),
    ("full-width", "ＡＢＣ１２３ is the code", "abc123"),
    ("accents-left-out", "naïve café in Besançon", "besancon cafe"),
    ("accents-typed", "naive cafe in Besancon", "Besançon"),
    ("accents-decomposed", "caf\u0065\u0301 au lait", "caf\u00e9"),
    ("sharp-s", "die Straße ist gesperrt", "strasse"),
    ("sharp-s-typed", "die Strasse ist gesperrt", "Straße"),
    ("cyrillic", "Встреча в Москве завтра", "москве"),
    ("greek", "Η συνάντηση στην Αθήνα", "αθηνα"),
    ("arabic", "الاجتماع في القاهرة غدا", "القاهرة"),
    ("hebrew", "הפגישה בתל אביב", "אביב"),
    ("snake-whole", "the setting max_frame_bytes is 16", "max_frame_bytes"),
    ("snake-part", "the setting max_frame_bytes is 16", "frame"),
    ("camel-whole", "call parseHttpRequest first", "parseHttpRequest"),
    ("camel-whole-lower", "call parseHttpRequest first", "parsehttprequest"),
    ("camel-part", "call parseHttpRequest first", "request"),
    ("camel-abbreviation", "the HTTPServer starts", "server"),
    ("camel-asked-by-snake", "call parseHttpRequest first", "parse_http_request"),
    ("snake-asked-by-camel", "call parse_http_request first", "parseHttpRequest"),
    ("kebab", "install the kebab-case-plugin", "kebab-case-plugin"),
    ("path-whole", "see /usr/local/lib/libfoo.so.6 for it", "/usr/local/lib/libfoo.so.6"),
    ("path-end", "see /usr/local/lib/libfoo.so.6 for it", "libfoo.so.6"),
    ("path-windows", r"in C:\Users\ada\notes.txt", r"ada\notes.txt"),
    ("module", "import enhanced_memory.client.wire", "client.wire"),
    ("version", "runs on 3.11.7 only", "3.11.7"),
    ("version-begin", "runs on 3.11.7 only", "3.11"),
    ("version-with-v", "released v2.1.0-rc1 today", "2.1.0"),
    ("version-with-v-typed", "released 2.1.0 today", "v2.1.0"),
    ("number", "paid 4711 for it", "4711"),
    ("number-with-commas", "earned 1,250,000 last year", "1,250,000"),
    ("decimal", "pi is 3.14159", "3.14159"),
    ("date", "due on 2026-11-21", "2026-11-21"),
    ("address", "write to ada@example.org", "ada@example.org"),
    ("letters-and-digits", "the python3 of utf8", "python 3"),
    ("hash", "commit 5902628fa", "5902628fa"),
    ("sharp-language", "wrote it in C#", "C#"),
]


@pytest.mark.parametrize(
    ("text", "query"), [(text, query) for _, text, query in FOUND], ids=[name for name, _, _ in FOUND]
)
async def test_it_is_found(default: Place, text: str, query: str) -> None:
    await default.create("note", text)
    await default.create("other", "nichts davon, 別物 다른것 всё 99 else_where OtherThing 2.7")
    await default.say("talk", text)
    assert (await default.found(query))[:1] == ["note"]
    assert (await default.overheard(query))[:1] == [text]


async def test_what_holds_all_of_a_word_comes_before_what_shares_a_piece(default: Place) -> None:
    await default.create("capital", "北京大学")
    await default.create("other", "南京大学")
    assert await default.found("北京大学") == ["capital", "other"]


async def test_parts_do_not_put_a_longer_name_before_the_name_itself(default: Place) -> None:
    await default.create("long", "about parseHttpRequestHeader and its callers")
    await default.create("itself", "about parseHttpRequest and its callers")
    assert (await default.found("parseHttpRequest"))[0] == "itself"
