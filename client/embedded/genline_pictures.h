/* Pictures of any size as a model takes them, in C or C++: cropped or padded, averaged while they are far too large,
 * then resized with Lanczos in whole numbers, as training did. The pixels are Pillow's, whose
 * `Image.resize(…, reducing_gap=3)` this follows (src/libImaging/Resample.c and Reduce.c). For opaque pictures. */
#ifndef GENLINE_PICTURES_H_
#define GENLINE_PICTURES_H_

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The middle; all, squeezed; all, with borders. */
typedef enum { GENLINE_CENTER, GENLINE_NONE, GENLINE_PAD } GenlineCrop;

typedef struct {
  uint8_t *data; /* (height, width, channels) */
  size_t height, width, channels;
} GenlinePicture;

/* What is kept along one side, of how many pixels, and how many it becomes. */
typedef struct { double from, to; size_t length, target; } GenlineSide;

/* Blocks are averaged as long as that leaves so many times the target size; how far Lanczos looks; bits of a weight. */
enum { GENLINE_GAP = 3, GENLINE_SUPPORT = 3, GENLINE_BITS = 22 };

static inline double genline_sinc(double x) {
  const double angle = x * 3.141592653589793;
  return x == 0 ? 1 : sin(angle) / angle;
}

static inline double genline_lanczos(double x) {
  return x >= -3 && x < 3 ? genline_sinc(x) * genline_sinc(x / 3) : 0;
}

static inline size_t genline_factor(GenlineSide side) {
  const size_t factor = (size_t)((side.to - side.from) / (double)side.target / GENLINE_GAP);
  return factor > 1 ? factor : 1;
}

/* What is kept, and what Lanczos looks at beside it. */
static inline void genline_looked(GenlineSide side, size_t *first, size_t *last) {
  const double beside = (GENLINE_SUPPORT - 0.5) * (side.to - side.from) / (double)side.target;
  const double end = ceil(side.to + beside);
  *first = side.from > beside ? (size_t)(side.from - beside) : 0;
  *last = end < (double)side.length ? (size_t)end : side.length;
}

/* The same part in pixels of the picture that blocks were averaged to. */
static inline GenlineSide genline_scaled(GenlineSide side, size_t times) {
  size_t first, last;
  genline_looked(side, &first, &last);
  side.from = (side.from - (double)first) / (double)times;
  side.to = (side.to - (double)first) / (double)times;
  side.length = (last - first + times - 1) / times;
  return side;
}

static inline GenlinePicture genline_new(size_t height, size_t width, size_t channels) {
  GenlinePicture made = {NULL, height, width, channels};
  made.data = (uint8_t *)malloc(height * width * channels);
  return made;
}

/* A part of a picture, a pixel for the average of each block; the last ones may be smaller. */
static inline GenlinePicture genline_averaged(GenlinePicture picture, GenlineSide columns, GenlineSide rows,
                                              size_t wide, size_t high) {
  size_t left, right, top, bottom;
  genline_looked(columns, &left, &right);
  genline_looked(rows, &top, &bottom);
  const size_t height = (bottom - top + high - 1) / high, width = (right - left + wide - 1) / wide;
  GenlinePicture made = genline_new(height, width, picture.channels);
  for (size_t i = 0; made.data && i < made.height * made.width * made.channels; ++i) {
    const size_t c = i % made.channels, at = i / made.channels;
    const size_t x = left + at % made.width * wide, y = top + at / made.width * high;
    const size_t to_x = x + wide < right ? x + wide : right, to_y = y + high < bottom ? y + high : bottom;
    const uint32_t area = (uint32_t)((to_x - x) * (to_y - y));
    const uint32_t share = (uint32_t)(16777216.0f / (float)area); /* Pillow divides by multiplying with it */
    uint64_t sum = area / 2;
    for (size_t v = y; v < to_y; ++v)
      for (size_t u = x; u < to_x; ++u) sum += picture.data[(v * picture.width + u) * picture.channels + c];
    made.data[i] = (uint8_t)((sum * share) >> 24);
  }
  return made;
}

/* The weights of the pixels that place i of the result is made of, from `first` on; gives how many. */
static inline size_t genline_weights(GenlineSide side, size_t i, size_t *first, int32_t *weights, double *raw) {
  const float start = (float)side.from, end = (float)side.to;
  const double scale = (double)(end - start) / (double)side.target, spread = scale > 1 ? scale : 1;
  const double centre = start + ((double)i + 0.5) * scale, low = centre - GENLINE_SUPPORT * spread + 0.5;
  const double high = centre + GENLINE_SUPPORT * spread + 0.5;
  *first = low > 0 ? (size_t)low : 0;
  const size_t last = high < (double)side.length ? (size_t)high : side.length;
  double sum = 0;
  for (size_t k = 0; k < last - *first; ++k)
    sum += raw[k] = genline_lanczos(((double)(k + *first) - centre + 0.5) * (1 / spread));
  for (size_t k = 0; k < last - *first; ++k) {
    const double weight = raw[k] / sum * (1 << GENLINE_BITS);
    weights[k] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
  }
  return last - *first;
}

/* Lines of pixels, each resized by itself: rows, or columns. */
static inline GenlinePicture genline_filtered(GenlinePicture picture, GenlineSide side, int rows) {
  const size_t c = picture.channels, lines = rows ? picture.height : picture.width, size = side.length + 1;
  const size_t line = rows ? c * picture.width : c, pixel = rows ? c : c * picture.width;
  GenlinePicture made = rows ? genline_new(lines, side.target, c) : genline_new(side.target, lines, c);
  int32_t *weights = (int32_t *)malloc(size * sizeof *weights);
  double *raw = (double *)malloc(size * sizeof *raw);
  for (size_t i = 0; made.data && weights && raw && i < side.target; ++i) {
    size_t first;
    const size_t count = genline_weights(side, i, &first, weights, raw);
    for (size_t at = 0; at < lines * c; ++at) {
      const uint8_t *from = picture.data + at / c * line + first * pixel + at % c;
      int64_t sum = 1 << (GENLINE_BITS - 1);
      for (size_t k = 0; k < count; ++k) sum += (int64_t)from[k * pixel] * weights[k];
      sum = sum > 0 ? sum >> GENLINE_BITS : 0;
      made.data[(rows ? at / c * side.target + i : i * lines + at / c) * c + at % c] = (uint8_t)(sum < 255 ? sum : 255);
    }
  }
  if (!weights || !raw) {
    free(made.data);
    made.data = NULL;
  }
  free(weights);
  free(raw);
  return made;
}

/* The nearest pixels, none of them mixed. */
static inline GenlinePicture genline_picked(GenlinePicture picture, GenlineSide columns, GenlineSide rows) {
  GenlinePicture made = genline_new(rows.target, columns.target, picture.channels);
  for (size_t i = 0; made.data && i < made.height * made.width; ++i) {
    const size_t wide = (size_t)(columns.to - columns.from), high = (size_t)(rows.to - rows.from);
    const size_t x = (size_t)columns.from + (2 * (i % made.width) + 1) * wide / (2 * made.width);
    const size_t y = (size_t)rows.from + (2 * (i / made.width) + 1) * high / (2 * made.height);
    memcpy(made.data + i * made.channels, picture.data + (y * picture.width + x) * made.channels, made.channels);
  }
  return made;
}

static inline GenlinePicture genline_resized(GenlinePicture picture, GenlineSide columns, GenlineSide rows) {
  const size_t wide = genline_factor(columns), high = genline_factor(rows);
  GenlinePicture smaller = {NULL, 0, 0, 0};
  if (wide > 1 || high > 1) {
    picture = smaller = genline_averaged(picture, columns, rows, wide, high);
    if (!smaller.data) return smaller;
    columns = genline_scaled(columns, wide), rows = genline_scaled(rows, high);
  }
  /* The order of Pillow 13, which shows, since there is rounding in between. */
  const double less_high = (double)rows.length - (double)rows.target;
  const double less_wide = (double)columns.length - (double)columns.target;
  const int rows_first = less_high > (less_wide > 0 ? 2 * less_wide : 0);
  GenlinePicture half = genline_filtered(picture, rows_first ? rows : columns, !rows_first);
  free(smaller.data);
  if (!half.data) return half;
  GenlinePicture made = genline_filtered(half, rows_first ? columns : rows, rows_first);
  free(half.data);
  return made;
}

/* In the middle of the smallest picture of the proportions that holds it, over `background`: a value a channel. */
static inline GenlinePicture genline_padded(GenlinePicture picture, size_t height, size_t width,
                                            const uint8_t *background) {
  const size_t more_wide = picture.height * width / height, more_high = picture.width * height / width;
  const size_t c = picture.channels;
  GenlinePicture made = genline_new(more_high > picture.height ? more_high : picture.height,
                                    more_wide > picture.width ? more_wide : picture.width, c);
  const size_t left = (made.width - picture.width) / 2, top = (made.height - picture.height) / 2;
  if (!made.data) return made;
  for (size_t i = 0; i < made.height * made.width * c; ++i) made.data[i] = background[i % c];
  for (size_t y = 0; y < picture.height; ++y)
    memcpy(made.data + ((top + y) * made.width + left) * c, picture.data + y * picture.width * c, picture.width * c);
  return made;
}

/* A picture brought to (height, width), to be freed; its data is NULL where there is not memory enough. */
static inline GenlinePicture genline_prepared(GenlinePicture picture, size_t height, size_t width, GenlineCrop crop,
                                              const uint8_t *background, int nearest) {
  GenlinePicture padded = {NULL, 0, 0, 0};
  if (crop == GENLINE_PAD) {
    picture = padded = genline_padded(picture, height, width, background);
    if (!padded.data) return padded;
  }
  size_t wide = picture.height * width / height, high = picture.width * height / width;
  wide = crop == GENLINE_NONE || wide > picture.width ? picture.width : wide > 1 ? wide : 1;
  high = crop == GENLINE_NONE || high > picture.height ? picture.height : high > 1 ? high : 1;
  const size_t left = (picture.width - wide) / 2, top = (picture.height - high) / 2;
  const GenlineSide columns = {(double)left, (double)(left + wide), picture.width, width};
  const GenlineSide rows = {(double)top, (double)(top + high), picture.height, height};
  nearest |= picture.height == height && picture.width == width;
  GenlinePicture made = nearest ? genline_picked(picture, columns, rows) : genline_resized(picture, columns, rows);
  free(padded.data);
  return made;
}

/* With other channels: grey becomes colour, colour becomes grey as Pillow weighs it, a fourth is opaque. */
static inline GenlinePicture genline_coloured(GenlinePicture picture, size_t channels) {
  GenlinePicture made = genline_new(picture.height, picture.width, channels);
  for (size_t i = 0; made.data && i < made.height * made.width; ++i) {
    const uint8_t *from = picture.data + i * picture.channels;
    const uint8_t *green = picture.channels > 1 ? from + 1 : from, *blue = picture.channels > 1 ? from + 2 : from;
    const uint8_t colour[4] = {*from, *green, *blue, 255};
    const uint32_t luma = 19595u * colour[0] + 38470u * colour[1] + 7471u * colour[2];
    if (channels == 1) made.data[i] = (uint8_t)((luma + 32768) >> 16);
    else memcpy(made.data + i * channels, colour, channels);
  }
  return made;
}

#endif /* GENLINE_PICTURES_H_ */
