//! Bytes as characters: UTF-8, and what Chinese programs write where the locale isn't. Pure.
//!
//! A log may hold both: a program that prints UTF-8 starts another that prints GBK. So it is decided line
//! by line, and within a line what is UTF-8 beyond doubt stays it.

use std::borrow::Cow;

/// Of the characters that a line would have as GBK, how many in ten must be common ones.
const COMMON_IN_TEN: usize = 7;

/// A line as characters; what is neither UTF-8 nor plausibly GBK is U+FFFD.
pub fn decode(line: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(line) {
        return Cow::Borrowed(text);
    }
    let stretches = stretches(line);
    let other = || stretches.iter().filter(|stretch| !stretch.is_utf8).map(|stretch| stretch.bytes);
    if !is_gbk(other()) {
        return String::from_utf8_lossy(line);
    }
    let mut out = String::with_capacity(line.len() * 2);
    for stretch in &stretches {
        if stretch.is_utf8 {
            out.push_str(&String::from_utf8_lossy(stretch.bytes));
        } else {
            out.push_str(&encoding_rs::GB18030.decode_without_bom_handling(stretch.bytes).0);
        }
    }
    Cow::Owned(out)
}

struct Stretch<'a> {
    bytes: &'a [u8],
    is_utf8: bool,
}

/// Parts a line where it is UTF-8 beyond doubt: a valid run with characters of three bytes or more. One of
/// only two-byte characters may as well be GBK (`训` is `ѵ` in UTF-8).
fn stretches(line: &[u8]) -> Vec<Stretch<'_>> {
    let mut out: Vec<Stretch<'_>> = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while at < line.len() {
        if line[at].is_ascii() {
            at += 1;
            continue;
        }
        let run = line[at..].iter().take_while(|byte| !byte.is_ascii()).count();
        let valid = std::str::from_utf8(&line[at..at + run]);
        if valid.is_ok_and(|text| text.chars().any(|c| c >= '\u{800}')) {
            if plain < at {
                out.push(Stretch { bytes: &line[plain..at], is_utf8: false });
            }
            out.push(Stretch { bytes: &line[at..at + run], is_utf8: true });
            plain = at + run;
        }
        at += run;
    }
    if plain < line.len() {
        out.push(Stretch { bytes: &line[plain..], is_utf8: false });
    }
    out
}

/// Would these be plausible as GBK (GB 18030)? Latin-1 has single bytes above 7F between ASCII letters,
/// which make rare hanzi or none.
fn is_gbk<'a>(stretches: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut common, mut all) = (0_usize, 0_usize);
    for bytes in stretches {
        let mut at = 0;
        let mut before = None;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii() {
                before = Some(byte);
                at += 1;
                continue;
            }
            let first = at;
            let mut here = 0;
            while let Some(is_common) = pair(&bytes[at..]) {
                here += usize::from(is_common);
                all += 1;
                at += 2;
            }
            let after = bytes.get(at).copied();
            let letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphabetic());
            // `GR\xd6\xdfE`: one character between Latin letters.
            let alone = at - first == 2 && (letter(before) || letter(after));
            common += if alone { 0 } else { here };
            if after.is_some_and(|byte| !byte.is_ascii()) {
                // Half a character, at the line's end or before something else.
                all += 1;
                at += 1;
            }
            before = None;
        }
    }
    common > 0 && common * 10 >= all * COMMON_IN_TEN
}

/// Is there a character of two bytes, and a common one: GB 2312's punctuation and its first level, the
/// 3,755 hanzi that make more than 99 % of text?
fn pair(bytes: &[u8]) -> Option<bool> {
    let (&lead, &trail) = (bytes.first()?, bytes.get(1)?);
    let is_pair = (0x81..=0xfe).contains(&lead) && (0x40..=0xfe).contains(&trail) && trail != 0x7f;
    is_pair.then_some(trail >= 0xa1 && matches!(lead, 0xa1..=0xa3 | 0xa6 | 0xa9 | 0xb0..=0xd7))
}

/// UTF-16, as PowerShell's `>` writes it, in bytes of UTF-8; None where it is none.
pub fn utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    const LOOKED_AT: usize = 4096;
    let sample = &bytes[..bytes.len().min(LOOKED_AT) & !1];
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let encoding = match bytes {
        [0xff, 0xfe, ..] => encoding_rs::UTF_16LE,
        [0xfe, 0xff, ..] => encoding_rs::UTF_16BE,
        // The window of a long log begins behind the mark: of Latin text every other byte is zero.
        _ if zeros(1) * 10 >= sample.len() * 4 && zeros(0) * 100 <= sample.len() => encoding_rs::UTF_16LE,
        // It begins in the middle of a character (or the other way round, which looks the same).
        [_, rest @ ..] if zeros(0) * 10 >= sample.len() * 4 && zeros(1) * 100 <= sample.len() => {
            return (rest.len() >= 4).then(|| encoding_rs::UTF_16LE.decode(rest).0.into_owned().into_bytes());
        }
        _ => return None,
    };
    (sample.len() >= 4).then(|| encoding.decode_with_bom_removal(bytes).0.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbk(text: &str) -> Vec<u8> {
        encoding_rs::GBK.encode(text).0.into_owned()
    }

    /// Catches a Chinese program's output as a row of U+FFFD.
    #[test]
    fn gbk_is_read() {
        for text in
            ["训练", "第3轮 损失=0.12，准确率 98%", "错误：找不到文件 C:\\数据\\a.csv", "加载模型…完成 [OK]"]
        {
            assert_eq!(decode(&gbk(text)), text);
        }
    }

    /// Catches hanzi where a Latin-1 program wrote accents.
    #[test]
    fn latin_1_is_not_read_as_gbk() {
        assert_eq!(decode(b"caf\xe9 au lait"), "caf\u{fffd} au lait");
        assert_eq!(decode(b"\xe9t\xe9 \xe0 No\xebl"), "\u{fffd}t\u{fffd} \u{fffd} No\u{fffd}l");
        assert_eq!(decode(b"GR\xd6\xdfE"), "GR\u{fffd}\u{fffd}E");
        assert_eq!(decode(b"na\xefve r\xe9sum\xe9"), "na\u{fffd}ve r\u{fffd}sum\u{fffd}");
    }

    /// Catches: UTF-8 taken for GBK because something else in the line isn't UTF-8, and the reverse.
    #[test]
    fn a_line_may_hold_both() {
        let mixed = [gbk("训练").as_slice(), "训练集".as_bytes(), &gbk("完成了")].concat();
        assert_eq!(decode(&[b"a ", mixed.as_slice()].concat()).matches("训练").count(), 1);
        let apart = ["训练集 ".as_bytes(), &gbk("读取完成")].concat();
        assert_eq!(decode(&apart), "训练集 读取完成");
        assert_eq!(decode("привет ѵ".as_bytes()), "привет ѵ");
    }

    #[test]
    fn half_a_character_at_the_end_is_no_reason_against() {
        let mut text = gbk("读取数据完成");
        text.pop();
        assert_eq!(decode(&text), "读取数据完\u{fffd}");
    }

    #[test]
    fn noise_is_no_gbk() {
        let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(decode(&noise).chars().filter(|c| *c == '\u{fffd}').count() > 500);
    }

    #[test]
    fn powershell_is_read() {
        let bytes: Vec<u8> = "\u{feff}Fehler: 错误\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(utf16(&bytes).as_deref(), Some("Fehler: 错误\r\n".as_bytes()));
        assert_eq!(utf16(&bytes[2..18]).as_deref(), Some("Fehler: ".as_bytes()));
        assert_eq!(utf16(&bytes[3..18]).as_deref(), Some("ehler: ".as_bytes()));
        assert_eq!(utf16(b"plain text\0\0\0\0"), None);
        assert_eq!(utf16(&[0; 64]), None);
        assert_eq!(utf16(b"\xff\xfe"), None);
    }
}
