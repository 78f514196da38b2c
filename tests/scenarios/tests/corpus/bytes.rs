//! Bytes as a corpus file writes them: `03 "GET /" (0A 00000001)*5000 "$KEY"`.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

/// What `$NAME` stands for in quoted text; the runner knows it for each item.
pub(crate) type Variables = BTreeMap<&'static str, String>;

/// The names that may follow a `$`.
const VARIABLES: [&str; 9] = [
    "CLAIMS",
    "EXPIRES",
    "HEADER",
    "HOST",
    "KEY",
    "MAC",
    "ROOM",
    "SIGNATURE",
    "TOKEN",
];

/// The most that one step may expand to; `(…)*N` is cheap to write.
const EXPANDED_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Text(Vec<Piece>),
    Open,
    Close,
    /// `*N` behind any of the others.
    Times(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Plain(Vec<u8>),
    Variable(&'static str),
    /// `$NOW+5`: the second since 1970, and as many more.
    Now(i64),
    Repeated(Vec<Piece>, usize),
}

/// Cuts a line into its tokens.
pub(crate) fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\'' => text(rest, first)?,
            '*' => {
                let digits = word_len(&rest[1..]);
                let count = rest[1..=digits].parse();
                let count = count.map_err(|_| format!("`{rest}`: a count follows `*`"))?;
                (Token::Times(count), 1 + digits)
            }
            _ => {
                let len = word_len(rest);
                (Token::Word(rest[..len].to_owned()), len)
            }
        };
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(tokens)
}

fn word_len(text: &str) -> usize {
    let ends = |letter: char| letter.is_whitespace() || "()\"'*".contains(letter);
    text.find(ends).unwrap_or(text.len())
}

/// Quoted text with its escapes and variables, and how long it was with its quotes.
fn text(quoted: &str, quote: char) -> Result<(Token, usize), String> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut at = 1;
    loop {
        let rest = &quoted[at..];
        let letter = rest.chars().next().ok_or("the text has no end")?;
        at += letter.len_utf8();
        match letter {
            _ if letter == quote => {
                pieces.push(Piece::Plain(plain));
                return Ok((Token::Text(pieces), at));
            }
            '\\' => {
                let escaped = quoted[at..].chars().next().ok_or("the text has no end")?;
                if let Some((code, _)) = quoted[at..]
                    .strip_prefix("u{")
                    .and_then(|rest| rest.split_once('}'))
                {
                    let letter = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
                    let letter = letter.ok_or_else(|| format!("`{code}` is no letter"))?;
                    plain.extend_from_slice(letter.to_string().as_bytes());
                    at += code.len() + 3;
                    continue;
                }
                at += escaped.len_utf8();
                plain.push(match escaped {
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    '0' => 0,
                    '"' | '\'' | '\\' | '$' => escaped as u8,
                    other => return Err(format!("`\\{other}` is no escape")),
                });
            }
            '$' if quoted[at..].starts_with("NOW") => {
                let offset = &quoted[at + 3..];
                let is_part = |letter: char| letter.is_ascii_digit() || "+-".contains(letter);
                let len = offset
                    .find(|letter| !is_part(letter))
                    .unwrap_or(offset.len());
                let later_s = match &offset[..len] {
                    "" => 0,
                    said => said.parse().map_err(|_| format!("`{said}` seconds"))?,
                };
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                pieces.push(Piece::Now(later_s));
                at += 3 + len;
            }
            '$' => {
                let named = |name: &&&str| quoted[at..].starts_with(**name);
                let name = VARIABLES.iter().find(named);
                let name = name.ok_or_else(|| format!("`{rest:.10}`: no such variable"))?;
                at += name.len();
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                pieces.push(Piece::Variable(name));
            }
            _ => plain.extend_from_slice(letter.to_string().as_bytes()),
        }
    }
}

/// Reads tokens as bytes, to the last one.
pub(crate) fn pieces(tokens: &[Token]) -> Result<Vec<Piece>, String> {
    let mut open: Vec<Vec<Piece>> = vec![Vec::new()];
    for token in tokens {
        let piece = match token {
            Token::Open => {
                open.push(Vec::new());
                continue;
            }
            Token::Close => {
                let inner = open.pop().filter(|_| !open.is_empty());
                Piece::Repeated(inner.ok_or("`)` without `(`")?, 1)
            }
            Token::Text(pieces) => Piece::Repeated(pieces.clone(), 1),
            Token::Word(word) => Piece::Plain(hex(word)?),
            Token::Times(count) => {
                let last = open.last_mut().and_then(Vec::pop);
                Piece::Repeated(vec![last.ok_or("`*` behind nothing")?], *count)
            }
        };
        open.last_mut().ok_or("`)` without `(`")?.push(piece);
    }
    match (open.pop(), open.is_empty()) {
        (Some(pieces), true) => Ok(pieces),
        _ => Err("`(` without `)`".into()),
    }
}

fn hex(word: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{word}` is not hexadecimal, two digits a byte");
    if !word.is_ascii() || !word.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let pairs = (0..word.len()).step_by(2).map(|at| &word[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|_| wrong()))
        .collect()
}

/// The bytes themselves.
///
/// # Panics
/// If they are more than a step may have.
pub(crate) fn expand(pieces: &[Piece], variables: &Variables) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Plain(bytes) => out.extend_from_slice(bytes),
            Piece::Variable(name) => out.extend_from_slice(variables[name].as_bytes()),
            Piece::Now(later_s) => {
                let now = UNIX_EPOCH.elapsed().expect("it is later than 1970");
                let at_s = now.as_secs().saturating_add_signed(*later_s);
                out.extend_from_slice(at_s.to_string().as_bytes());
            }
            Piece::Repeated(inner, count) => {
                let once = expand(inner, variables);
                assert!(once.len() * count <= EXPANDED_BYTES_MAX, "too many bytes");
                out.extend_from_slice(&once.repeat(*count));
            }
        }
    }
    out
}

/// Whether a variable is used.
pub(crate) fn mentions(pieces: &[Piece], name: &str) -> bool {
    pieces.iter().any(|piece| match piece {
        Piece::Plain(_) | Piece::Now(_) => false,
        Piece::Variable(used) => *used == name,
        Piece::Repeated(inner, _) => mentions(inner, name),
    })
}

#[test]
fn bytes_are_read_as_they_are_written() {
    let variables = Variables::from([("KEY", "k".to_owned())]);
    for (line, expected) in [
        ("", Ok(&b""[..])),
        ("03 0aFF", Ok(b"\x03\x0A\xFF")),
        (r#""a\r\n\0\"\\\$" 00"#, Ok(b"a\r\n\0\"\\$\0")),
        (r#""\u{202E}a""#, Ok(b"\xE2\x80\xAEa")),
        (r#""/$KEY/x""#, Ok(b"/k/x")),
        (r#"'"a"' 00"#, Ok(b"\"a\"\0")),
        (r#"'a"#, Err("no end")),
        (r#"("a"*2 00)*2 "b""#, Ok(b"aa\0aa\0b")),
        ("(00)*0", Ok(b"")),
        ("0", Err("two digits")),
        ("0x", Err("two digits")),
        (r#""a"#, Err("no end")),
        (r#""\x""#, Err("no escape")),
        (r#""$NOBODY""#, Err("no such variable")),
        ("(00", Err("without `)`")),
        ("00)", Err("without `(`")),
        ("*3", Err("behind nothing")),
        ("00*x", Err("a count follows")),
    ] {
        let found = tokens(line).and_then(|tokens| pieces(&tokens));
        match (found, expected) {
            (Ok(pieces), Ok(bytes)) => assert_eq!(expand(&pieces, &variables), bytes, "{line}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{line}: {error}"),
            (found, expected) => panic!("{line}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn now_is_told_in_seconds() {
    let said = |line: &str| {
        let pieces = tokens(line).and_then(|tokens| pieces(&tokens)).unwrap();
        let text = String::from_utf8(expand(&pieces, &Variables::new())).unwrap();
        text.split(',')
            .map(|number| number.parse::<u64>().unwrap())
            .collect::<Vec<_>>()
    };
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let [before, same, after] = said("'$NOW-600,$NOW,$NOW+600'")[..] else {
        panic!("three numbers");
    };
    assert!(before + 600 <= same && same + 600 <= after && same.abs_diff(now) < 60);
    assert!(tokens("'$NOW+x'").is_err());
}
