/* A genline TFLite file on LiteRT: its tensors by their roles, one run of it, and the pixels that it makes. What goes
 * wrong ends the program with one line on stderr. */
#ifndef MODEL_H_
#define MODEL_H_

#include <stdio.h>

#include "litert.h"

enum { FAILED = 1, USAGE = 2, MOST_BYTES = 1 << 28 };
enum { LATENTS, LABELS, TOKENS, IMAGE, HINTS, ROLES };

typedef struct {
  Handle tensor, buffer;
  TensorType type;
  Quantisation quantisation;
  size_t height, width, channels; /* of pictures */
} Tensor;

typedef struct {
  const char *path;
  void *bytes;
  Handle environment, model, options, compiled;
  size_t signature, inputs;
  size_t place[ROLES]; /* of each role among the inputs; `inputs` where the file takes none */
  Tensor input[ROLES], images;
  size_t frames; /* of a clip; 1 of an image */
} Model;

extern FILE *out, *err; /* streams of the program's own */

/* Begin: `name` is the program's; what LiteRT writes of its own accord goes nowhere. */
void begin(const char *name);

/* One line on stderr, and out. */
_Noreturn void stop(int code, const char *format, ...);

/* Load and compile a file, for the processor alone. */
void model_load(Model *model, const char *path);
void model_release(Model *model);

/* The input of that role, else NULL. */
const Tensor *model_input(const Model *model, int role);

/* Numbers in [0, 1], or latents, as the input takes them. */
void model_write(const Tensor *input, const float *values, size_t count);
void model_write_label(const Model *model, long label);
/* Words that say what is to be seen, UTF-8; sees that the file takes some and knows any. */
void model_write_text(const Model *model, const char *text);
void model_write_seed(const Model *model, int64_t seed, float truncation);

/* Run it; gives LiteRT's status. */
Status model_run(Model *model);

/* Pixel (y, x) of a frame of the image or clip is at cell[y * stride + x], whatever the type of the model's output. */
void model_pixels(const Model *model, size_t frame, uint8_t *cell, size_t stride);

/* What the file says of itself in its metadata: the number, or the text, behind the first such key; 0, or "", where it
 * does not. */
double model_number(const Model *model, const char *key);
void model_text(const Model *model, const char *key, char *text, size_t size);

/* See that a label is given exactly where the file takes one, and is one of its classes. */
void model_check_label(const Model *model, long label);

float parse_truncation(const char *text);
long parse_label(const char *text);

#endif /* MODEL_H_ */
