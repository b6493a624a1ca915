//! Masking (RFC 6455 section 5.3), 32 bytes at a time.

/// Bytes a step: the optimiser makes one or two vector operations of the inner loop.
const STEP: usize = 32;

/// Unmasks, or masks, `bytes`, which begin `offset` bytes into the payload.
pub fn unmask(bytes: &mut [u8], key: [u8; 4], offset: usize) {
    let key: [u8; 4] = std::array::from_fn(|index| key[(index + offset) % 4]);
    let wide: [u8; STEP] = std::array::from_fn(|index| key[index % 4]);
    let (steps, rest) = bytes.as_chunks_mut::<STEP>();
    for step in steps {
        for (byte, mask) in step.iter_mut().zip(&wide) {
            *byte ^= mask;
        }
    }
    let word = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (words, rest) = rest.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(&wide) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length and offset agrees with the definition of the RFC, a byte at a time.
    #[test]
    fn unmasking_agrees_with_the_definition() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..150_u8 {
            for offset in 0..6 {
                let plain: Vec<u8> = (0..len).map(|index| index.wrapping_mul(7)).collect();
                let mut masked = plain.clone();
                unmask(&mut masked, key, offset);
                for (index, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, plain[index] ^ key[(index + offset) % 4]);
                }
            }
        }
    }
}
