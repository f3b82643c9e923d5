//! G.711 A-law, the codec of the other telephones; only files bring it.

const DECODED: [i16; 256] = decode_table();

/// Returns the sample that a code stands for.
pub const fn decode(code: u8) -> i16 {
    DECODED[code as usize]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "eight bits")]
const fn decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        // Every other bit goes over the wire inverted.
        let bits = code ^ 0x55;
        let segment = (bits >> 4) & 7;
        // Half a step is added, so that a code stands for the middle of what it covers.
        let magnitude = (((bits & 0x0f) << 4) + 8) as i16;
        let sample = if segment == 0 { magnitude } else { (magnitude + 0x100) << (segment - 1) };
        table[code] = if bits & 0x80 == 0 { -sample } else { sample };
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decode_as_the_standard_lists_them() {
        for (code, sample) in [
            (0xd5, 8),
            (0x55, -8),
            (0xd4, 24),
            (0xc5, 264),
            (0xf5, 528),
            (0xe5, 1056),
            (0xaa, 32_256),
            (0x2a, -32_256),
        ] {
            assert_eq!(decode(code), sample, "{code:#04x}");
        }
    }

    #[test]
    fn codes_stand_for_different_samples_that_mirror_each_other() {
        let mut samples: Vec<i16> = (0..=255).map(decode).collect();
        samples.sort_unstable();
        samples.dedup();
        assert_eq!(samples.len(), 256);
        assert!((0..=255u8).all(|code| decode(code) == -decode(code ^ 0x80)));
    }
}
