//! A terminal's colours on the dark panel of the output. Pure.
//!
//! Every piece can be read: where a program's own colours would have less contrast than WCAG 2.2
//! (1.4.3) asks for, what is behind is made darker and the text lighter until they have.

use crate::report::model::{Colour, Line, Stream, Style};

type Rgb = [u8; 3];

/// The panel, in light and dark surroundings alike.
pub const PANEL: Rgb = [0x1a, 0x20, 0x2b];
const LIGHT: Rgb = [255; 3];
const OUT: Rgb = [0xe6, 0xeb, 0xf1];
/// Lines of stderr, where they have no colour of their own.
const ERR: Rgb = [0xff, 0x9f, 0x95];
/// The least contrast between text and what stands behind it.
pub const LEAST_CONTRAST: f64 = 4.5;

/// The terminal's 16 as text. Black is one that can be seen: programs mean it for a light terminal.
const TEXT: [Rgb; 16] = [
    [0x8f, 0x9b, 0xab],
    [0xff, 0x7b, 0x72],
    [0x7e, 0xe7, 0x87],
    [0xe3, 0xb3, 0x41],
    [0x79, 0xc0, 0xff],
    [0xd2, 0xa8, 0xff],
    [0x6f, 0xdd, 0xe6],
    [0xd5, 0xdc, 0xe5],
    [0x9a, 0xa7, 0xb5],
    [0xff, 0xa1, 0x98],
    [0xaf, 0xf5, 0xb4],
    [0xf8, 0xe3, 0xa1],
    [0xa5, 0xd6, 0xff],
    [0xe2, 0xc5, 0xff],
    [0xb3, 0xf0, 0xf5],
    [0xff, 0xff, 0xff],
];

/// The same behind text. All of them are dark: clients that make a mail dark turn dark text into light
/// text, but leave alone what is behind it if that is of a middling colour.
const BEHIND: [Rgb; 16] = [
    [0x05, 0x08, 0x0c],
    [0x9b, 0x1c, 0x1c],
    [0x1a, 0x6b, 0x34],
    [0x7a, 0x5b, 0x00],
    [0x1f, 0x4e, 0x96],
    [0x6e, 0x3a, 0x9c],
    [0x0f, 0x62, 0x6b],
    [0x4f, 0x5b, 0x6b],
    [0x3c, 0x46, 0x54],
    [0xb0, 0x2f, 0x29],
    [0x1c, 0x72, 0x37],
    [0x80, 0x5f, 0x00],
    [0x2b, 0x60, 0xb3],
    [0x80, 0x49, 0xb5],
    [0x13, 0x6b, 0x75],
    [0x58, 0x64, 0x75],
];

/// How a line without styles looks.
pub fn plain_colour(stream: Stream) -> Rgb {
    match stream {
        Stream::Out => OUT,
        Stream::Err => ERR,
    }
}

/// A line in pieces that look alike: what is to be added to the line's own look as CSS, and the text.
/// Ranges that don't fit the text are passed over: the line is shown whatever its styles are.
pub fn pieces(line: &Line) -> Vec<(String, &str)> {
    let mut out: Vec<(String, std::ops::Range<usize>)> = Vec::new();
    let mut put = |css: String, range: std::ops::Range<usize>| match out.last_mut() {
        _ if range.is_empty() => {}
        Some((last, so_far)) if *last == css => so_far.end = range.end,
        _ => out.push((css, range)),
    };
    let mut at = 0;
    for (range, style) in &line.styles {
        if range.start < at || range.start >= range.end || line.text.get(range.clone()).is_none() {
            continue;
        }
        put(String::new(), at..range.start);
        put(css(*style, line.stream), range.clone());
        at = range.end;
    }
    put(String::new(), at..line.text.len());
    out.into_iter().map(|(css, range)| (css, &line.text[range])).collect()
}

/// What a style adds to the look of a plain line.
fn css(style: Style, stream: Stream) -> String {
    let mut parts = Vec::new();
    let (text, behind) = colours(style, stream);
    if text != plain_colour(stream) {
        parts.push(format!("color:{}", hex(text)));
    }
    if behind != PANEL {
        parts.push(format!("background-color:{}", hex(behind)));
    }
    for (is_set, part) in [
        (style.bold, "font-weight:bold"),
        (style.italic, "font-style:italic"),
        (style.underline, "text-decoration:underline"),
    ] {
        if is_set {
            parts.push(part.to_owned());
        }
    }
    parts.join(";")
}

/// Text and what is behind it, such that it can be read: light on dark.
fn colours(style: Style, stream: Stream) -> (Rgb, Rgb) {
    let text = |colour: Option<Colour>, otherwise| match colour {
        None => otherwise,
        Some(Colour::Named(number)) => TEXT[usize::from(number % 16)],
        Some(Colour::Rgb(red, green, blue)) => [red, green, blue],
    };
    let behind = |colour: Option<Colour>, otherwise| match colour {
        None => otherwise,
        Some(Colour::Named(number)) => BEHIND[usize::from(number % 16)],
        Some(Colour::Rgb(red, green, blue)) => [red, green, blue],
    };
    let (text, behind) = if style.inverse {
        // A block of the text's colour; the text takes what was behind it, as light as it has to be.
        (text(style.background, LIGHT), behind(style.foreground, BEHIND[7]))
    } else {
        (text(style.foreground, plain_colour(stream)), behind(style.background, PANEL))
    };
    let behind = towards(behind, [0; 3], |behind| contrast(LIGHT, behind) >= LEAST_CONTRAST);
    let text = if style.dim { mix(text, behind, 3) } else { text };
    let is_readable = |text| luminance(text) > luminance(behind) && contrast(text, behind) >= LEAST_CONTRAST;
    (towards(text, LIGHT, is_readable), behind)
}

/// As near to `colour` on the way to `goal` as is good enough.
fn towards(colour: Rgb, goal: Rgb, is_good: impl Fn(Rgb) -> bool) -> Rgb {
    (0..=10).map(|tenths| mix(colour, goal, tenths)).find(|mixed| is_good(*mixed)).unwrap_or(goal)
}

/// So many tenths of the way from one colour to another.
fn mix(from: Rgb, to: Rgb, tenths: u32) -> Rgb {
    std::array::from_fn(|i| {
        let mixed = u32::from(from[i]) * (10 - tenths) + u32::from(to[i]) * tenths;
        u8::try_from(mixed / 10).unwrap_or(u8::MAX)
    })
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(colour: Rgb) -> f64 {
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

pub fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a colour, or a mixture of two, that can't be read on what is behind it.
    #[test]
    fn everything_can_be_read() {
        let some = [0, 64, 128, 192, 255];
        let mut cube = Vec::new();
        for red in some {
            cube.extend(some.iter().flat_map(|green| some.map(|blue| (red, *green, blue))));
        }
        let mut all: Vec<Option<Colour>> =
            cube.into_iter().map(|(r, g, b)| Some(Colour::Rgb(r, g, b))).collect();
        all.extend((0..16).map(|number| Some(Colour::Named(number))));
        all.push(None);
        for stream in [Stream::Out, Stream::Err] {
            for foreground in &all {
                for background in &all {
                    for (inverse, dim) in [(false, false), (true, false), (false, true), (true, true)] {
                        let (foreground, background) = (*foreground, *background);
                        let style = Style { foreground, background, inverse, dim, ..Style::default() };
                        let (text, behind) = colours(style, stream);
                        assert!(contrast(text, behind) >= LEAST_CONTRAST, "{style:?}");
                        assert!(luminance(text) > luminance(behind), "{style:?}");
                    }
                }
            }
        }
    }

    /// Catches: named colours that are changed although they can be read.
    #[test]
    fn the_palette_is_shown_as_it_is() {
        for number in 0..16 {
            let style = Style { foreground: Some(Colour::Named(number)), ..Style::default() };
            assert_eq!(colours(style, Stream::Out), (TEXT[usize::from(number)], PANEL), "{number}");
            let style = Style { background: Some(Colour::Named(number)), ..Style::default() };
            assert_eq!(colours(style, Stream::Out), (OUT, BEHIND[usize::from(number)]), "{number}");
        }
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 1e-9);
    }

    /// Catches: a span for each letter, text that is lost or doubled where ranges are odd.
    #[test]
    fn pieces_are_merged_and_nothing_is_lost() {
        let red = Style { foreground: Some(Colour::Named(1)), ..Style::default() };
        let also_red = Style { foreground: Some(Colour::Rgb(0xff, 0x7b, 0x72)), ..Style::default() };
        let line = |text: &str, styles: &[(std::ops::Range<usize>, Style)]| Line {
            stream: Stream::Out,
            text: text.to_owned(),
            styles: styles.to_vec(),
        };
        let of = |line: &Line| {
            pieces(line).into_iter().map(|(css, text)| format!("{css}|{text}")).collect::<Vec<_>>()
        };
        let merged = line("aaabbb训练", &[(0..3, red), (3..6, also_red), (6..9, Style::default())]);
        assert_eq!(of(&merged), ["color:#ff7b72|aaabbb", "|训练"]);
        // Inside a character, backwards, over the end, overlapping.
        let backwards = std::ops::Range { start: 5, end: 2 };
        let odd = line("训练abc", &[(1..3, red), (backwards, red), (3..6, red), (4..7, red), (7..99, red)]);
        assert_eq!(of(&odd), ["|训", "color:#ff7b72|练", "|abc"]);
        assert_eq!(of(&line("", &[(0..0, red)])), Vec::<String>::new());
    }
}
