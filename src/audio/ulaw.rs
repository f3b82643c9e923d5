//! G.711 mu-law, the codec of American and Japanese telephones and of Twilio's streams.

/// What is added to a magnitude so that every segment begins at a power of two, in 14 bits.
const BIAS: u16 = 33;

/// The largest magnitude that has a code, bias included, in 14 bits.
const LOUDEST: u16 = 0x1fff;

const DECODED: [i16; 256] = decode_table();

/// Returns the sample that a code stands for.
pub const fn decode(code: u8) -> i16 {
    DECODED[code as usize]
}

/// Appends the samples that `codes` stand for.
pub fn decode_into(codes: &[u8], out: &mut Vec<i16>) {
    out.extend(codes.iter().map(|code| decode(*code)));
}

/// Returns the code for `sample`, as ITU-T G.191's reference program chooses it.
#[expect(clippy::cast_possible_truncation, reason = "three bits of segment, four of step")]
pub const fn encode(sample: i16) -> u8 {
    let negative = sample < 0;
    // One's complement: that is how the reference treats the sample exactly between two codes.
    let magnitude = (if negative { !sample } else { sample }).cast_unsigned() >> 2;
    let biased = if magnitude + BIAS > LOUDEST { LOUDEST } else { magnitude + BIAS };
    let segment = 10 - biased.leading_zeros();
    let step = (biased >> (segment + 1)) & 0x0f;
    // Every bit goes over the wire inverted, so that silence has many ones.
    let code = !(((segment as u8) << 4) | step as u8);
    if negative { code & 0x7f } else { code }
}

#[expect(clippy::cast_possible_truncation, reason = "four bits")]
const fn decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        let bits = !code;
        let segment = (bits >> 4) & 7;
        let step = (bits & 0x0f) as u16;
        let magnitude = (((step << 1) + BIAS) << segment) - BIAS;
        let sample = (magnitude << 2).cast_signed();
        table[code] = if bits & 0x80 == 0 { sample } else { -sample };
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
            (0xff, 0),
            (0x7f, 0),
            (0xfe, 8),
            (0x7e, -8),
            (0xf0, 120),
            (0xef, 132),
            (0xdf, 396),
            (0x9f, 8316),
            (0x8f, 16_764),
            (0x80, 32_124),
            (0x00, -32_124),
        ] {
            assert_eq!(decode(code), sample, "{code:#04x}");
        }
    }

    #[test]
    fn every_code_but_minus_zero_survives_a_round_trip() {
        for code in 0..=255 {
            let again = encode(decode(code));
            assert_eq!(again, if code == 0x7f { 0xff } else { code }, "{code:#04x}");
        }
    }

    #[test]
    fn every_sample_gets_the_code_whose_decision_values_enclose_it() {
        // G.711 table 2a: in 14 bits, 0, 1, 3 ... 31, then 16 steps of 4, 8 ... 256.
        let mut decision_values: Vec<u32> = (0..16).map(|n| 4 * (2 * n + 1)).collect();
        for step in [4, 8, 16, 32, 64, 128, 256] {
            let last = decision_values[decision_values.len() - 1];
            decision_values.extend((1..=16).map(|n| last + 4 * step * n));
        }
        assert_eq!(decision_values.pop(), Some(4 * 8159), "the virtual one");
        for sample in i16::MIN..=i16::MAX {
            let size = u32::from(sample.unsigned_abs());
            let reached = |value: &&u32| if sample < 0 { size > **value } else { size >= **value };
            let steps = u8::try_from(decision_values.iter().filter(reached).count()).unwrap();
            let expected = if sample < 0 { !steps & 0x7f } else { !steps };
            assert_eq!(encode(sample), expected, "{sample}");
        }
    }
}
