//! What is an object in JSON, and nothing else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value that is read from an object alone. Serde also reads a structure from an array, by the
/// places of its fields, so that a caller's slip would mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// For a field that is an object: `deserialize_with`.
pub fn object<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Object::deserialize(from).map(|Object(value)| value)
}

/// For a field that is a list of objects: `deserialize_with`.
pub fn objects<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let read = Vec::<Object<T>>::deserialize(from)?;
    Ok(read.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        #[serde(deserialize_with = "object")]
        one: Inner,
        #[serde(deserialize_with = "objects")]
        many: Vec<Inner>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        count: u8,
    }

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        let read = |text| serde_json::from_str::<Object<Outer>>(text).map(|Object(outer)| outer);
        let full = Outer {
            one: Inner { count: 1 },
            many: vec![Inner { count: 2 }],
        };
        for (text, expected) in [
            ("{}", Outer::default()),
            (r#"{"one": {"count": 1}, "many": [{"count": 2}]}"#, full),
        ] {
            assert_eq!(read(text).expect(text), expected);
        }
        for text in [
            "[]",
            "[[1]]",
            "null",
            "7",
            r#"{"one": []}"#,
            r#"{"one": [1]}"#,
            r#"{"one": null}"#,
            r#"{"many": [[]]}"#,
            r#"{"many": [{}, [2]]}"#,
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(", expected an object at"), "{text}: {error}");
        }
    }
}
