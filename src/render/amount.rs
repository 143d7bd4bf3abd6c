//! Durations, sizes, signals and error numbers, before they are put into a language. Pure.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// Which units of a duration are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The two largest units: for the subject.
    Compact,
    /// To the second.
    Exact,
}

/// The words for the units of a duration.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    pub days: &'static str,
    pub hours: &'static str,
    pub minutes: &'static str,
    /// For minutes that stand alone (`12分钟`).
    pub minutes_alone: &'static str,
    pub seconds: &'static str,
    pub millis: &'static str,
    /// Between two units.
    pub gap: &'static str,
}

/// `3h 12m`, `45.2s`, `34ms`. Cut, not rounded, as humantime does, so that no unit overflows.
pub fn duration(value: Duration, detail: Detail, units: &Units) -> String {
    let millis = value.as_millis();
    if millis < 100 {
        return format!("{millis}{}", units.millis);
    }
    if millis < 60_000 {
        return format!("{}.{}{}", millis / 1000, millis % 1000 / 100, units.seconds);
    }
    let all = value.as_secs();
    let parts = [
        (all / 86_400, units.days),
        (all / 3600 % 24, units.hours),
        (all / 60 % 60, units.minutes),
        (all % 60, units.seconds),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(0);
    let told = match detail {
        Detail::Compact => &parts[first..(first + 2).min(parts.len())],
        Detail::Exact => &parts[first..],
    };
    let told: Vec<_> = told.iter().filter(|(count, _)| *count > 0).collect();
    if let [(count, unit)] = told[..]
        && *unit == units.minutes
    {
        return format!("{count}{}", units.minutes_alone);
    }
    told.iter().map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(units.gap)
}

/// `512 B`, `1.2 KiB`, `3.4 GiB` (IEC 80000-13).
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths in whole numbers: 1023.99 KiB isn't shown as 1024.0.
    let exponent = (bytes.ilog2() / 10) as usize;
    let tenths = (u128::from(bytes) * 10) >> (10 * exponent);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[exponent - 1])
}

/// `SIGKILL (9)`; real-time signals count from SIGRTMIN, which is 34 on Linux.
pub fn signal(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => format!("{} ({number})", signal.as_str()),
        Err(_) => match number {
            34 => "SIGRTMIN (34)".to_owned(),
            35..=64 => format!("SIGRTMIN+{} ({number})", number - 34),
            _ => format!("signal {number}"),
        },
    }
}

/// The system's word for an error number: `No space left on device`.
pub fn errno(number: i32) -> &'static str {
    Errno::from_raw(number).desc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Lang;

    fn both(millis: u64, detail: Detail) -> (String, String) {
        let value = Duration::from_millis(millis);
        (
            duration(value, detail, &Lang::En.strings().units),
            duration(value, detail, &Lang::Zh.strings().units),
        )
    }

    /// Catches units that overflow (`60.0s`), zeros in between, and a dropped unit.
    #[test]
    fn durations() {
        let hour = 3_600_000;
        for (millis, en, zh) in [
            (0, "0ms", "0毫秒"),
            (99, "99ms", "99毫秒"),
            (345, "0.3s", "0.3秒"),
            (45_200, "45.2s", "45.2秒"),
            (59_999, "59.9s", "59.9秒"),
            (60_000, "1m", "1分钟"),
            (725_000, "12m 5s", "12分5秒"),
            (3 * hour + 725_000, "3h 12m", "3小时12分"),
            (52 * hour, "2d 4h", "2天4小时"),
            (48 * hour + 1000, "2d", "2天"),
        ] {
            assert_eq!(both(millis, Detail::Compact), (en.to_owned(), zh.to_owned()));
        }
        assert_eq!(both(3 * hour + 727_900, Detail::Exact).0, "3h 12m 7s");
        assert_eq!(both(48 * hour + 1000, Detail::Exact), ("2d 1s".to_owned(), "2天1秒".to_owned()));
    }

    #[test]
    fn sizes() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn signals() {
        for (number, shown) in
            [(9, "SIGKILL (9)"), (34, "SIGRTMIN (34)"), (40, "SIGRTMIN+6 (40)"), (99, "signal 99")]
        {
            assert_eq!(signal(number), shown);
        }
    }
}
