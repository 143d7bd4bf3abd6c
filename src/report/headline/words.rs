//! The last resort: lines with a word like "error" in them. Pure.

use std::ops::Range;

use super::Kind::{Message, Word};
use super::signs::Place::{Anywhere, Start};
use super::signs::{Sign, line};

pub(super) const SIGNS: &[Sign] = &[
    // A program's message, and a logger's level.
    line("Error: ", Start, Message, 55),
    line("ERROR: ", Start, Message, 52),
    line("Fatal: ", Start, Message, 56),
    line("FATAL: ", Start, Message, 56),
    line("ERROR:", Start, Message, 46),
    line("CRITICAL:", Start, Message, 54),
    line("[ERROR]", Anywhere, Message, 46),
    line("[CRITICAL]", Anywhere, Message, 54),
    line("[FATAL]", Anywhere, Message, 56),
    line(" - ERROR - ", Anywhere, Message, 46),
    line(" - CRITICAL - ", Anywhere, Message, 54),
    line("ERROR    ", Anywhere, Message, 44),
    line("ERROR ", Start, Message, 44),
    line("CRITICAL ", Anywhere, Message, 52),
    line("错误：", Start, Message, 52),
    line("错误: ", Start, Message, 52),
    line("error", Anywhere, Word, 22),
    line("Error", Anywhere, Word, 24),
    line("ERROR", Anywhere, Word, 24),
    line("fatal", Anywhere, Word, 23),
    line("Fatal", Anywhere, Word, 24),
    line("FATAL", Anywhere, Word, 24),
    line("fail", Anywhere, Word, 22),
    line("Fail", Anywhere, Word, 23),
    line("FAIL", Anywhere, Word, 24),
    line("cannot ", Anywhere, Word, 20),
    line("Cannot ", Anywhere, Word, 22),
    line("Could not ", Anywhere, Word, 22),
    line("could not ", Anywhere, Word, 20),
    line("Unable to ", Anywhere, Word, 22),
    line("unable to ", Anywhere, Word, 20),
    line("invalid ", Anywhere, Word, 20),
    line("Invalid ", Anywhere, Word, 21),
    line("exception", Anywhere, Word, 22),
    line("Exception", Anywhere, Word, 23),
    line("错误", Anywhere, Word, 24),
    line("失败", Anywhere, Word, 24),
    line("异常", Anywhere, Word, 23),
    line("无法", Anywhere, Word, 21),
    line("illegal ", Anywhere, Word, 20),
    line("not found", Anywhere, Word, 20),
    line("timed out", Anywhere, Word, 20),
    line("denied", Anywhere, Word, 20),
    line("不存在", Anywhere, Word, 20),
    line("找不到", Anywhere, Word, 20),
    line("未找到", Anywhere, Word, 20),
    line("超时", Anywhere, Word, 20),
    line("被拒绝", Anywhere, Word, 20),
];

/// Is the word meant as such: not `error_rate`, `stderr`, `0 errors`, `no error`, `errors: 0`?
pub(super) fn is_meant(text: &str, word: Range<usize>) -> bool {
    let (before, after) = (&text[..word.start], &text[word.end..]);
    if !text[word.clone()].is_ascii() {
        let denied = ["0 个", "0个", "无", "没有", "不存在", "未", "不"];
        return !denied.iter().any(|no| before.ends_with(no))
            && !["错误", "异常", "问题"].iter().any(|none| after.starts_with(none));
    }
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '/';
    // `ValueError` is one, `stderr` and `no-error` are none.
    let inside = before.chars().next_back().is_some_and(part_of_name)
        && !text[word.clone()].starts_with(|c: char| c.is_ascii_uppercase());
    let endings = ["ed", "ing", "s", "ure", "ures", ""];
    let rest_of_word: String = after.chars().take_while(|c| part_of_name(*c)).take(8).collect();
    let ends = endings.contains(&rest_of_word.as_str());
    let before = before.trim_end();
    let denied =
        [" 0", "no", "No", "without", "zero", "not", "=0", ":0"].iter().any(|no| before.ends_with(no))
            || before == "0";
    let rest = after[rest_of_word.len()..].trim_start();
    let rest = rest.trim_start_matches([':', '=', ' ', '"', '\'']);
    let counted = rest.starts_with("0") && !rest.starts_with("0x")
        || ["rate", "margin", "bar", "code 0", "correction", "handl", "log", "tolerance"]
            .iter()
            .any(|w| rest.starts_with(w));
    !inside && ends && !denied && !counted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches "error_rate 0.02" and "0 failed" as the reason of a failure.
    #[test]
    fn words_that_tell_of_no_failure() {
        let meant = |text: &str, word: &str| {
            let at = text.find(word).unwrap();
            is_meant(text, at..at + word.len())
        };
        for (text, word) in [
            ("error_rate 0.02", "error"),
            ("error rate: 0.02", "error"),
            ("see stderr", "err"),
            ("0 errors", "error"),
            ("build finished: 0 failed", "fail"),
            ("no error", "error"),
            ("errors: 0", "error"),
            ("errors=0", "error"),
            ("errors.py", "errors.p"),
            ("failover done", "fail"),
            ("共 0 个错误", "错误"),
            ("不存在错误", "错误"),
            ("未找到异常", "未找到"),
            ("等待未超时", "超时"),
        ] {
            assert!(!meant(text, word), "{text}");
        }
        for (text, word) in [
            ("an error occurred", "error"),
            ("10 errors", "error"),
            ("MyError", "Error"),
            ("it failed", "fail"),
            ("failure: x", "fail"),
            ("训练失败", "失败"),
            ("配置文件不存在: config.yaml", "不存在"),
            ("config.yaml not found", "not found"),
            ("Access denied for user 'root'", "denied"),
            ("请求超时，请重试", "超时"),
        ] {
            assert!(meant(text, word), "{text}");
        }
    }
}
