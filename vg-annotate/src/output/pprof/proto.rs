//! Fields of Protocol Buffers, as far as pprof's format uses them: varints, texts, messages and packed varints.
//!
//! What always holds: a varint of 0 is left out, as the format wants its defaults. Fields come in the order in which they are added.

/// A message that is being written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    /// A number.
    pub(super) fn varint(mut self, field: u64, value: u64) -> Message {
        if value != 0 {
            self.put(field << 3 | VARINT);
            self.put(value);
        }
        self
    }

    /// A text, also an empty one: in repeated fields each counts.
    pub(super) fn text(self, field: u64, text: &str) -> Message {
        self.bytes(field, text.as_bytes())
    }

    /// A message within it.
    pub(super) fn message(self, field: u64, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }

    /// Numbers as one field.
    pub(super) fn packed(self, field: u64, values: &[u64]) -> Message {
        let mut inner = Message::default();
        values.iter().for_each(|value| inner.put(*value));
        self.bytes(field, &inner.0)
    }

    /// What is sent.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        self.put(field << 3 | LENGTH);
        self.put(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_the_documentation_shows() {
        // The examples of protobuf.dev's description of the encoding.
        assert_eq!(Message::default().varint(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(
            Message::default().text(2, "testing").into_bytes(),
            [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]
        );
        let inner = Message::default().varint(1, 150);
        assert_eq!(Message::default().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(
            Message::default().packed(6, &[3, 270, 86942]).into_bytes(),
            [0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]
        );
        assert_eq!(Message::default().varint(1, 0).text(2, "").into_bytes(), [0x12, 0x00]);
    }
}
