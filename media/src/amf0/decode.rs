//! Bytes to values, without recursion: objects and arrays that are still open wait on a stack.

use super::{DEPTH_MAX, Error, INPUT_BYTES_MAX, STRING_BYTES_MAX, VALUES_MAX, Value, marker};

/// The values of one command or data message, which must end where a value ends.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    if bytes.len() > INPUT_BYTES_MAX {
        return Err(limit("bytes", INPUT_BYTES_MAX));
    }
    let mut decoder = Decoder {
        input: Input { bytes, offset: 0 },
        open: Vec::new(),
        done: Vec::new(),
        values: 0,
    };
    // Each step takes at least one byte or closes a container that a byte opened.
    while decoder.step()? {}
    Ok(decoder.done)
}

struct Decoder<'a> {
    input: Input<'a>,
    /// Objects and arrays whose end has not come, the innermost last.
    open: Vec<Open>,
    done: Vec<Value>,
    values: usize,
}

/// An object or array that is being filled. Nothing is reserved by a declared count.
enum Open {
    Properties {
        is_array: bool,
        properties: Vec<(String, Value)>,
        /// The name of the value that comes next.
        name: String,
    },
    Items {
        items: Vec<Value>,
        left: u32,
    },
}

impl Decoder<'_> {
    /// Reads one value or one end; false when the input ended where it may.
    fn step(&mut self) -> Result<bool, Error> {
        match self.open.last_mut() {
            None if self.input.is_empty() => return Ok(false),
            None => {}
            Some(Open::Items { left: 0, .. }) => return self.close(),
            Some(Open::Items { left, .. }) => *left -= 1,
            Some(Open::Properties { name, .. }) => {
                *name = self.input.name()?;
                if name.is_empty() && self.input.peek() == Some(marker::OBJECT_END) {
                    self.input.u8()?;
                    return self.close();
                }
            }
        }
        self.value()?;
        Ok(true)
    }

    fn value(&mut self) -> Result<(), Error> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(limit("values", VALUES_MAX));
        }
        let value = match self.input.u8()? {
            marker::NUMBER => Value::Number(self.input.f64()?),
            marker::BOOLEAN => Value::Boolean(self.input.u8()? != 0),
            marker::STRING => Value::String(self.input.name()?),
            marker::LONG_STRING | marker::XML_DOCUMENT => Value::String(self.input.long_string()?),
            marker::NULL => Value::Null,
            marker::UNDEFINED | marker::UNSUPPORTED => Value::Undefined,
            marker::DATE => self.input.date()?,
            marker::OBJECT => return self.open(properties(false)),
            marker::TYPED_OBJECT => {
                self.input.name()?; // The class name (§2.18).
                return self.open(properties(false));
            }
            marker::ECMA_ARRAY => {
                // The count is a hint that encoders get wrong; the end marker rules (§2.10).
                self.input.u32()?;
                return self.open(properties(true));
            }
            marker::STRICT_ARRAY => {
                let left = self.input.u32()?;
                let items = Vec::new();
                return self.open(Open::Items { items, left });
            }
            other => return Err(self.input.malformed(why_refused(other))),
        };
        self.place(value);
        Ok(())
    }

    fn open(&mut self, container: Open) -> Result<(), Error> {
        if self.open.len() == DEPTH_MAX {
            return Err(limit("levels of objects and arrays", DEPTH_MAX));
        }
        self.open.push(container);
        Ok(())
    }

    fn close(&mut self) -> Result<bool, Error> {
        let value = match self.open.pop() {
            Some(Open::Items { items, .. }) => Value::StrictArray(items),
            Some(Open::Properties {
                is_array: true,
                properties,
                ..
            }) => Value::EcmaArray(properties),
            Some(Open::Properties { properties, .. }) => Value::Object(properties),
            None => return Err(self.input.malformed("an end without an object")),
        };
        self.place(value);
        Ok(true)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.done.push(value),
            Some(Open::Items { items, .. }) => items.push(value),
            Some(Open::Properties {
                properties, name, ..
            }) => properties.push((std::mem::take(name), value)),
        }
    }
}

fn properties(is_array: bool) -> Open {
    Open::Properties {
        is_array,
        properties: Vec::new(),
        name: String::new(),
    }
}

fn why_refused(marker: u8) -> &'static str {
    match marker {
        marker::OBJECT_END => "an end without an object",
        // Nothing that streams uses references (§2.9), and one to its own parent is a loop.
        marker::REFERENCE => "a reference",
        // Reserved, not supported (§2.6, §2.16).
        marker::MOVIE_CLIP => "a movie clip",
        marker::RECORD_SET => "a record set",
        marker::AMF3 => "a switch to AMF3",
        _ => "an unknown type marker",
    }
}

/// The unread rest of the bytes.
struct Input<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    fn malformed(&self, reason: &'static str) -> Error {
        let offset = self.offset;
        Error::Malformed { reason, offset }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or_else(|| self.malformed("ends inside a value"))?;
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take answers the length asked for"))
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    fn f64(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_be_bytes)
    }

    /// A `UTF-8` of §1.3.1: 16 bits of length, then the bytes. Names and short strings.
    fn name(&mut self) -> Result<String, Error> {
        let length = self.array().map(u16::from_be_bytes)?;
        self.text(usize::from(length))
    }

    /// A `UTF-8-long` of §1.3.1: 32 bits of length.
    fn long_string(&mut self) -> Result<String, Error> {
        let length = self.u32()?;
        self.text(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn text(&mut self, length: usize) -> Result<String, Error> {
        if length > STRING_BYTES_MAX {
            return Err(limit("bytes in a string", STRING_BYTES_MAX));
        }
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// §2.13: milliseconds and a time zone that is reserved and not to be used.
    fn date(&mut self) -> Result<Value, Error> {
        let unix_ms = self.f64()?;
        self.take(2)?;
        Ok(Value::Date { unix_ms })
    }
}

fn limit(of: &'static str, max: usize) -> Error {
    Error::Limit { of, max }
}
