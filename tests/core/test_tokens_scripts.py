"""The estimator against a vocabulary, script by script."""

# ruff: noqa: RUF001, E501  # letters of other scripts are no mistakes, and many are wide

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from tertulia.runtime.counting.estimate import estimate_text
from tertulia_splintr import load_vocabulary

SAMPLES = {
    "English": (
        "A tertulia is a regular gathering where people talk, usually about art, politics or the news of the "
        "day. Nobody takes minutes, and nobody has to win: what counts is that everyone comes back next week."
    ),
    "German": (
        "Eine Tertulia ist eine regelmäßige Zusammenkunft, bei der man miteinander spricht, meist über Kunst, "
        "Politik oder die Nachrichten des Tages. Niemand führt Protokoll, und niemand muss gewinnen: wichtig "
        "ist nur, dass in der nächsten Woche alle wiederkommen."
    ),
    "Spanish": (
        "Una tertulia es una reunión habitual en la que se conversa, casi siempre sobre arte, política o las "
        "noticias del día. Nadie levanta acta y nadie tiene que ganar: lo que importa es que todos vuelvan."
    ),
    "Chinese": (
        "茶话会是人们定期聚在一起聊天的活动，通常谈论艺术、政治或当天的新闻。没有人做记录，也没有人必须赢：重要的是下周大家都会再来。"
        "有时候一个人讲一个很长的故事，其他人只是安静地听着，喝着咖啡，直到天黑才回家。"
    ),
    "Japanese": (
        "テルトゥリアとは、人々が定期的に集まって、芸術や政治、その日のニュースについて語り合う会のことです。"
        "誰も議事録を取らず、誰も勝つ必要はありません。大切なのは、来週もみんながまた来ることです。"
    ),
    "Korean": (
        "테르툴리아는 사람들이 정기적으로 모여 예술이나 정치, 그날의 소식에 대해 이야기하는 모임입니다. "
        "아무도 회의록을 쓰지 않고 아무도 이길 필요가 없습니다. 중요한 것은 다음 주에도 모두 다시 오는 것입니다."
    ),
    "Russian": (
        "Тертулия — это регулярная встреча, на которой люди беседуют, обычно об искусстве, политике или новостях "
        "дня. Никто не ведёт протокол, и никто не обязан побеждать: важно лишь, чтобы на следующей неделе все "
        "пришли снова."
    ),
    "Hindi": (
        "तेर्तुलिया एक नियमित बैठक है जिसमें लोग आपस में बातचीत करते हैं, अक्सर कला, राजनीति या दिन की खबरों के बारे में। "
        "कोई लिखता नहीं है और किसी को जीतना नहीं होता: ज़रूरी यह है कि अगले सप्ताह सब फिर से आएँ।"
    ),
    "Arabic": (
        "التيرتوليا لقاء منتظم يتحدث فيه الناس عادة عن الفن أو السياسة أو أخبار اليوم. لا أحد يكتب محضرا ولا أحد "
        "مضطر إلى الفوز: المهم أن يعود الجميع في الأسبوع القادم."
    ),
    "Greek": (
        "Η τερτούλια είναι μια τακτική συνάντηση όπου οι άνθρωποι συζητούν, συνήθως για την τέχνη, την πολιτική ή "
        "τα νέα της ημέρας. Κανείς δεν κρατάει πρακτικά και κανείς δεν χρειάζεται να κερδίσει."
    ),
    "code": (
        "def find_percentile(errors: Sequence[float], share: float = 0.9) -> float:\n"
        '    """Return the value below which that share of the errors is."""\n'
        "    if not errors:\n"
        '        raise ValueError("no errors, so nothing to choose from")\n'
        "    ordered = sorted(errors)\n"
        "    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]\n"
    ),
    "JSON": json.dumps(
        [
            {"id": number, "name": name, "tags": ["a", "b"], "price": 12.5, "address": {"city": "Lisbon"}}
            for number, name in enumerate(("Anna", "Bob", "Chen"), start=1001)
        ]
    ),
    "digits": "314159265 358979 32384 6264338 32795 02884197 16939937510 582097494 4592307816",
    "emoji": "😀🎉🔥❤🙏😊✨🚀🌍🍀🥳🤔👍🎂🐢",
    "Base64": base64.b64encode(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(20))).decode(),
    "capitals": "PLEASE READ THE WHOLE CONTRACT BEFORE YOU SIGN IT, AND KEEP ONE COPY OF EACH PAGE FOR YOURSELF.",
}


@pytest.mark.parametrize("script", SAMPLES)
def test_no_script_is_far_off(script):
    """
    An estimate is from 0.75 to 1.35 of what OpenAI's vocabulary counts, whatever is written.
    """
    text = SAMPLES[script]
    ratio = estimate_text(text) / load_vocabulary("o200k_base")(text)

    assert 0.75 <= ratio <= 1.35, ratio


@pytest.mark.parametrize(
    "script", sorted(SAMPLES.keys() - {"emoji"})
)  # of which the popular are one token there
def test_no_script_is_far_off_where_every_digit_is_a_token(script):
    """
    The same estimate, with digits one by one, is as near to what Gemini's vocabulary counts.
    """
    text = SAMPLES[script]
    ratio = estimate_text(text, digits_per_token=1) / load_vocabulary("gemma3")(text)

    assert 0.75 <= ratio <= 1.35, ratio
