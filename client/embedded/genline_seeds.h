/* From a seed to latents, in C or C++, with no memory of its own: what gensample and the microcontroller share.
 *
 * One seed is one image on every platform. Its latents are those of TensorFlow's StatelessRandomNormalV2 with the key
 * [seed], the counter [0, 0] and alg=1: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011), then Box and Muller in single precision. Also how a quantised model takes them. Not for secrets.
 */
#ifndef GENLINE_SEEDS_H_
#define GENLINE_SEEDS_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Four random words of a counter; the seed is the key, as 64 bits in two's complement. */
static inline void genline_philox(int64_t seed, uint64_t counter, uint32_t words[4]) {
  uint32_t k0 = (uint32_t)(uint64_t)seed, k1 = (uint32_t)((uint64_t)seed >> 32);
  uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = 0, c3 = 0;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0, words[1] = c1, words[2] = c2, words[3] = c3;
}

/* [0, 1) of a word: 23 of its bits under the exponent of 1.0 give a float in [1, 2). */
static inline float genline_uniform(uint32_t word) {
  const uint32_t bits = (word & 0x7FFFFFu) | 0x3F800000u;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value - 1.0f;
}

/* Two words → two standard normal numbers, the sine first, as TensorFlow has it. */
static inline void genline_normal(uint32_t first, uint32_t second, float pair[2]) {
  const float u = genline_uniform(first);
  const float radius = sqrtf(-2.0f * logf(u < 1e-7f ? 1e-7f : u));
  /* TensorFlow multiplies in double here, and so the angle's last bit agrees. */
  const float angle = (float)(6.283185307179586 * (double)genline_uniform(second));
  pair[0] = sinf(angle) * radius;
  pair[1] = cosf(angle) * radius;
}

/* The `count` latents of a seed, times the truncation ψ (1 for none). */
static inline void genline_latents(int64_t seed, float truncation, float *latents, size_t count) {
  for (size_t start = 0; start < count; start += 4) {
    uint32_t words[4];
    float four[4];
    genline_philox(seed, start / 4, words);
    genline_normal(words[0], words[1], four);
    genline_normal(words[2], words[3], four + 2);
    for (size_t i = 0; i < 4 && start + i < count; ++i) latents[start + i] = truncation * four[i];
  }
}

/* A latent as an int8 input takes it: the nearest step, and the ends for what lies beyond them. */
static inline int8_t genline_quantise(float latent, float scale, int32_t zero_point) {
  const float step = rintf(latent / scale) + (float)zero_point;
  return (int8_t)(step < -128.0f ? -128.0f : step > 127.0f ? 127.0f : step);
}

/* The pixel of an output in [0, 1]; what is outside, or no number, is brought to the ends. */
static inline uint8_t genline_pixel(float value) {
  const float scaled = rintf(value * 255.0f);
  return (uint8_t)(scaled > 0.0f ? (scaled < 255.0f ? scaled : 255.0f) : 0.0f);
}

#endif /* GENLINE_SEEDS_H_ */
