/* gentranslate: the picture that a genline TFLite file makes of a picture, on LiteRT's C library and nothing else.
 *
 *     gentranslate [-d X,Y,RRGGBB]... [-l LABEL] [-s SEED] MODEL IN OUT
 *
 * IN is a PPM or PGM of any size, brought to the model's as training did; the picture is the one that genclient
 * translate --tflite makes. -d gives a dot of colour, in pixels of the model, where it takes hints; -l the class and -s
 * the seed, where it takes some.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../genline_pictures.h"
#include "model.h"
#include "netpbm.h"

enum { MOST_DOTS = 256, RADIUS = 1 }; /* a dot is 3×3 pixels, as in training */

typedef struct { long x, y; unsigned long colour; } Dot;

static void *given(void *memory) {
  if (!memory) stop(FAILED, "%s", strerror(ENOMEM));
  return memory;
}

/* Red, green and blue of `#rrggbb`, white or black, as the model has them; else a line. */
static void parse_background(const Model *model, const char *text, size_t channels, uint8_t *background) {
  char *end = NULL;
  const int named = !*text || !strcmp(text, "white") || !strcmp(text, "black");
  const unsigned long value = named ? (strcmp(text, "black") ? 0xFFFFFF : 0) : strtoul(text + (*text == '#'), &end, 16);
  if (!named && (*text != '#' || strlen(text) != 7 || *end))
    stop(FAILED, "%s: its background is '%s', expected #rrggbb, white or black", model->path, text);
  uint8_t colour[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  const GenlinePicture one = genline_coloured((GenlinePicture){colour, 1, 1, 3}, channels);
  memcpy(background, given(one.data), channels);
  free(one.data);
}

/* The picture as the file's metadata says that training brought it to size. */
static GenlinePicture prepared(const Model *model, const char *name) {
  const Tensor *image = model_input(model, IMAGE);
  char crop[16], resize[16], colour[32];
  uint8_t background[4] = {255, 255, 255, 255};
  GenlinePicture picture;
  model_text(model, "crop", crop, sizeof crop);
  model_text(model, "resize", resize, sizeof resize);
  model_text(model, "background", colour, sizeof colour);
  const GenlineCrop how = !strcmp(crop, "none") ? GENLINE_NONE : !strcmp(crop, "pad") ? GENLINE_PAD : GENLINE_CENTER;
  if (how == GENLINE_PAD) parse_background(model, colour, image->channels, background);
  picture.data = read_picture(name, &picture.height, &picture.width, &picture.channels);
  const GenlinePicture whole = genline_coloured(picture, image->channels);
  given(whole.data);
  free(picture.data);
  picture = genline_prepared(whole, image->height, image->width, how, background, !strcmp(resize, "nearest"));
  given(picture.data);
  free(whole.data);
  return picture;
}

static void write_image(const Model *model, const char *name) {
  const Tensor *image = model_input(model, IMAGE);
  const size_t count = image->height * image->width * image->channels;
  const GenlinePicture picture = prepared(model, name);
  float *values = given(malloc(count * sizeof *values));
  for (size_t i = 0; i < count; ++i) values[i] = (float)picture.data[i] / 255.0f;
  model_write(image, values, count);
  free(values);
  free(picture.data);
}

/* Red, green, blue and a mask; all 0 where there is no dot. */
static void write_hints(const Model *model, const Dot *dots, size_t count) {
  const Tensor *hints = model_input(model, HINTS);
  if (!hints && count) stop(USAGE, "dot: found %zu, expected none, since this model takes no hints", count);
  if (!hints) return;
  const long height = (long)hints->height, width = (long)hints->width;
  float *values = given(calloc((size_t)(4 * height * width), sizeof *values));
  for (const Dot *dot = dots; dot < dots + count; ++dot) {
    if (dot->x >= width || dot->y >= height)
      stop(USAGE, "dot: found %ld,%ld, expected a place in %ld×%ld pixels", dot->x, dot->y, width, height);
    for (long y = dot->y - RADIUS; y <= dot->y + RADIUS; ++y) {
      for (long x = dot->x - RADIUS; x <= dot->x + RADIUS; ++x) {
        if (x < 0 || y < 0 || x >= width || y >= height) continue;
        float *at = values + 4 * (y * width + x);
        for (int c = 0; c < 3; ++c) at[c] = (float)(dot->colour >> (16 - 8 * c) & 0xFF) / 255.0f;
        at[3] = 1;
      }
    }
  }
  model_write(hints, values, (size_t)(4 * height * width));
  free(values);
}

/* `12,30,ff8800` → a dot. */
static Dot parse_dot(const char *text) {
  char *second = NULL, *end = NULL;
  Dot dot = {-1, -1, 0};
  errno = 0;
  dot.x = strtol(text, &second, 10);
  if (second != text && *second == ',') dot.y = strtol(second + 1, &end, 10);
  const char *colour = end && *end == ',' ? end + 1 : "";
  if (dot.x < 0 || dot.y < 0 || errno || strlen(colour) != 6 || strspn(colour, "0123456789abcdefABCDEF") != 6)
    stop(USAGE, "dot: found '%s', expected a place and a colour such as 12,30,ff8800", text);
  dot.colour = strtoul(colour, NULL, 16);
  return dot;
}

static int64_t parse_seed(const char *text) {
  char *end = NULL;
  errno = 0;
  const long long seed = strtoll(text, &end, 10);
  if (end == text || *end || errno) stop(USAGE, "seed: found '%s', expected a whole number of 64 bits", text);
  return seed;
}

static void translate(Model *model, const char *name) {
  const Tensor *images = &model->images;
  const size_t row = images->width * images->channels;
  const Status status = model_run(model);
  if (status) stop(FAILED, "%s fails to run: status %d", model->path, status);
  uint8_t *pixels = given(malloc(model->frames * images->height * row));
  for (size_t i = 0; i < model->frames; ++i) model_pixels(model, i, pixels + i * images->height * row, row);
  write_pictures(name, pixels, model->frames, images->height, images->width, images->channels);
  free(pixels);
}

int main(int argc, char **argv) {
  static const char usage[] =
      "usage: gentranslate [-d X,Y,RRGGBB]... [-l LABEL] [-s SEED] MODEL IN OUT   (IN and OUT may be -)";
  static Dot dots[MOST_DOTS];
  size_t count = 0;
  int64_t seed = 0;
  long label = -1;
  int option;
  begin("gentranslate");
  while ((option = getopt(argc, argv, "+:d:l:s:h")) != -1) {
    if (option == 'd' && count == MOST_DOTS) stop(USAGE, "dot: found more than %d", MOST_DOTS);
    if (option == 'd') dots[count++] = parse_dot(optarg);
    else if (option == 'l') label = parse_label(optarg);
    else if (option == 's') seed = parse_seed(optarg);
    else if (option == 'h') return !out || fputs(usage, out) < 0 || fputs("\n", out) < 0 || fflush(out);
    else if (option == ':') stop(USAGE, "-%c: found no value; %s", optopt, usage);
    else stop(USAGE, "-%c: no such option; %s", optopt, usage);
  }
  if (argc - optind != 3) stop(USAGE, "found %d arguments, expected 3; %s", argc - optind, usage);
  Model model;
  model_load(&model, argv[optind]);
  if (!model_input(&model, IMAGE)) stop(FAILED, "%s makes images of seeds: run gensample", model.path);
  model_check_label(&model, label);
  model_write_label(&model, label);
  if (model_input(&model, LATENTS)) model_write_seed(&model, seed, 1);
  write_hints(&model, dots, count);
  write_image(&model, argv[optind + 1]);
  translate(&model, argv[optind + 2]);
  model_release(&model);
  return 0;
}
