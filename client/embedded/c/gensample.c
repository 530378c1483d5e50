/* gensample: images from a genline TFLite file, on LiteRT's C library and nothing else.
 *
 *     gensample [-t TRUNCATION] [-l LABEL] [--text WORDS] MODEL SEED[-LAST] OUT
 *
 * One seed is one image, the same as genclient's and every other platform's; several make one image grid, row by row. It
 * takes any file of a version's tflite/ folder; of clips it writes numbered frames. Options stand before the rest or behind it: a seed may be negative.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "netpbm.h"

enum { MOST_IMAGES = 4096 };

/* Files of integers hold the generator's images up to a truncation that they name; beyond it the images are others. */
static void check_truncation(const Model *model, float truncation) {
  const double most = model_number(model, "truncation_at_most");
  const float size = truncation < 0 ? -truncation : truncation;
  if (!(most > 0) || size <= (float)most || !err) return;
  fprintf(err, "gensample: %s: its integers hold the generator's images up to a truncation of %g, not of %g; ",
          model->path, most, (double)truncation);
  fputs("the float32 and dynamic files take any\n", err);
  fflush(err);
}

/* The images of `count` seeds from `first` on, nearly as many rows as columns; places left over are black. Of clips, one
 * such grid for each frame. */
static uint8_t *image_grid(Model *model, int64_t first, size_t count, float truncation, long label, const char *text,
                           size_t *height, size_t *width) {
  const Tensor *images = &model->images;
  size_t columns = 1;
  while (columns * columns < count) ++columns;
  const size_t row = images->width * images->channels, stride = columns * row;
  *height = (count + columns - 1) / columns * images->height, *width = columns * images->width;
  if (stride > MOST_BYTES / *height / model->frames)
    stop(USAGE, "seed: %zu images of this size are too many for an image grid", count);
  uint8_t *pixels = calloc(model->frames * *height, stride);
  if (!pixels) stop(FAILED, "%s", strerror(ENOMEM));
  model_write_label(model, label);
  model_write_text(model, text);
  for (size_t i = 0; i < count; ++i) {
    model_write_seed(model, first + (int64_t)i, truncation);
    const Status status = model_run(model);
    if (status) stop(FAILED, "%s fails to run%s: status %d", model->path, label < 0 ? "" : " with that label", status);
    uint8_t *cell = pixels + i / columns * images->height * stride + i % columns * row;
    for (size_t frame = 0; frame < model->frames; ++frame, cell += *height * stride)
      model_pixels(model, frame, cell, stride);
  }
  return pixels;
}

/* `7`, `-7` or a range with both ends, `0-15` → the first seed and how many. */
static int64_t parse_seeds(const char *text, size_t *count) {
  char *end = NULL;
  errno = 0;
  const long long first = strtoll(text, &end, 10);
  long long last = first;
  int good = end != text && text[0] > ' ' && text[0] != '+';
  if (good && *end == '-') {
    const char *rest = end + 1;
    last = strtoll(rest, &end, 10);
    good = end != rest && rest[0] > ' ' && rest[0] != '+';
  }
  if (!good || *end || errno)
    stop(USAGE, "seed: found '%s', expected a whole number of 64 bits or a range such as 0-15", text);
  const unsigned long long more = (unsigned long long)last - (unsigned long long)first;
  if (last < first || more >= MOST_IMAGES)
    stop(USAGE, "seed: found '%s', expected a range upwards of at most %d seeds", text, MOST_IMAGES);
  *count = (size_t)more + 1;
  return first;
}

static const char USAGE_LINE[] =
    "usage: gensample [-t TRUNCATION] [-l LABEL] [--text WORDS] MODEL SEED[-LAST] OUT   (OUT may be -)";

typedef struct {
  float truncation;
  long label;
  const char *text;
  int help;
} Settings;

/* Take options up to what is none. */
static void take_options(int argc, char **argv, Settings *settings) {
  static const struct option names[] = {{"text", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
  int option;
  while ((option = getopt_long(argc, argv, "+:t:l:h", names, NULL)) != -1) {
    if (option == 't') settings->truncation = parse_truncation(optarg);
    else if (option == 'l') settings->label = parse_label(optarg);
    else if (option == 'w') settings->text = optarg;
    else if (option == 'h') settings->help = 1;
    else {
      const char letter[] = {'-', (char)optopt, 0};
      const char *name = optopt && optopt != 'w' ? letter : argv[optind - 1]; /* of several letters, the one meant */
      stop(USAGE, "%s: %s; %s", name, option == ':' ? "found no value" : "no such option", USAGE_LINE);
    }
  }
}

int main(int argc, char **argv) {
  Settings settings = {1, -1, NULL, 0};
  begin("gensample");
  take_options(argc, argv, &settings);
  char **const rest = argv + optind;
  const int found = argc - optind;
  if (found > 3) {
    optind += 3;
    take_options(argc, argv, &settings);
  }
  if (settings.help) return !out || fputs(USAGE_LINE, out) < 0 || fputs("\n", out) < 0 || fflush(out);
  if (found < 3 || (found > 3 && optind != argc)) stop(USAGE, "found %d arguments, expected 3; %s", found, USAGE_LINE);
  size_t count, height, width;
  const int64_t first = parse_seeds(rest[1], &count);
  Model model;
  model_load(&model, rest[0]);
  if (model_input(&model, IMAGE)) stop(FAILED, "%s makes images of pictures: run gentranslate", model.path);
  model_check_label(&model, settings.label);
  check_truncation(&model, settings.truncation);
  uint8_t *pixels =
      image_grid(&model, first, count, settings.truncation, settings.label, settings.text, &height, &width);
  write_pictures(rest[2], pixels, model.frames, height, width, model.images.channels);
  free(pixels);
  model_release(&model);
  return 0;
}
