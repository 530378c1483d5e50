#define _POSIX_C_SOURCE 200809L
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../genline_seeds.h"
#include "../genline_words.h"

static const char *const NAMES[ROLES] = {"latents", "labels", "tokens", "image", "hints"};
static const char *program = "";
FILE *out, *err;

/* A stream of our own on `descriptor`; whatever else writes there goes nowhere. */
static FILE *take(int descriptor) {
  const int kept = fcntl(descriptor, F_DUPFD_CLOEXEC, 3), nowhere = open("/dev/null", O_WRONLY);
  FILE *stream = kept < 0 ? NULL : fdopen(kept, "w");
  if (nowhere < 0) return stream;
  if (nowhere != descriptor) {
    dup2(nowhere, descriptor);
    close(nowhere);
  }
  return stream;
}

void begin(const char *name) {
  program = name;
  err = take(STDERR_FILENO), out = take(STDOUT_FILENO);
}

_Noreturn void stop(int code, const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (err) {
    fprintf(err, "%s: ", program);
    vfprintf(err, format, values);
    fputc('\n', err);
    fflush(err);
  }
  va_end(values);
  exit(code);
}

/* See that LiteRT did what was requested. */
static void check(const Model *model, Status status) {
  if (status) stop(FAILED, "%s is not a TFLite model that LiteRT can run: status %d", model->path, status);
}

/* The whole file, at an address that suits LiteRT. */
static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  struct stat about;
  if (!file || fstat(fileno(file), &about)) stop(FAILED, "cannot read %s: %s", path, strerror(errno));
  if (S_ISDIR(about.st_mode)) stop(FAILED, "cannot read %s: %s", path, strerror(EISDIR));
  if (about.st_size < 16 || about.st_size > INT_MAX)
    stop(FAILED, "%s is not a TFLite model: it has %lld bytes", path, (long long)about.st_size);
  char *bytes = aligned_alloc(64, ((size_t)about.st_size + 63) / 64 * 64);
  if (!bytes) stop(FAILED, "cannot read %s: %s", path, strerror(ENOMEM));
  *size = fread(bytes, 1, (size_t)about.st_size, file);
  if (ferror(file) || *size != (size_t)about.st_size) stop(FAILED, "cannot read %s: it changes or fails", path);
  fclose(file);
  if (memcmp(bytes + 4, "TFL3", 4)) stop(FAILED, "%s is not a TFLite model", path);
  return bytes;
}

/* The signature `generate`, else none. */
static Handle find_signature(Model *model) {
  size_t count = 0;
  check(model, LiteRtGetNumModelSignatures(model->model, &count));
  for (size_t i = 0; i < count; ++i) {
    Handle signature = NULL;
    const char *key = "";
    check(model, LiteRtGetModelSignature(model->model, i, &signature));
    check(model, LiteRtGetSignatureKey(signature, &key));
    model->signature = i;
    if (!strcmp(key, "generate")) return signature;
  }
  stop(FAILED, "%s has no signature 'generate', expected latents or image → images", model->path);
}

static void describe(const Model *model, Tensor *into) {
  int kind = 0;
  check(model, LiteRtGetRankedTensorType(into->tensor, &into->type));
  check(model, LiteRtGetQuantizationTypeId(into->tensor, &kind));
  if (kind == PER_TENSOR) check(model, LiteRtGetPerTensorQuantization(into->tensor, &into->quantisation));
}

/* Which tensors the signature has, and what they are. */
static void describe_signature(Model *model, Handle signature) {
  size_t outputs = 0, known = 0;
  check(model, LiteRtGetNumSignatureInputs(signature, &model->inputs));
  check(model, LiteRtGetNumSignatureOutputs(signature, &outputs));
  for (int role = 0; role < ROLES; ++role) model->place[role] = model->inputs;
  for (size_t i = 0; i < model->inputs && model->inputs <= ROLES; ++i) {
    const char *name = "";
    check(model, LiteRtGetSignatureInputName(signature, i, &name));
    for (int role = 0; role < ROLES; ++role)
      if (!strcmp(name, NAMES[role])) model->place[role] = i, ++known;
    check(model, LiteRtGetSignatureInputTensorByIndex(signature, i, &model->input[i].tensor));
    describe(model, &model->input[i]);
  }
  if (known != model->inputs || outputs != 1 || (!model_input(model, LATENTS) && !model_input(model, IMAGE)))
    stop(FAILED, "%s: its signature is not latents [, labels] [, tokens] → images, nor image [, hints] → images", model->path);
  check(model, LiteRtGetSignatureOutputTensorByIndex(signature, 0, &model->images.tensor));
  describe(model, &model->images);
}

const Tensor *model_input(const Model *model, int role) {
  return model->place[role] < model->inputs ? &model->input[model->place[role]] : NULL;
}

/* Whether it has `rank` sizes, the first of them 1, all above 0 and together not huge. */
static int is_one_row(const Tensor *tensor, uint32_t rank) {
  const Layout *layout = &tensor->type.layout;
  int64_t total = 1;
  if ((layout->rank & 0x7F) != rank || layout->sizes[0] != 1) return 0;
  for (uint32_t i = 0; i < rank; ++i) {
    if (layout->sizes[i] < 1 || (total *= layout->sizes[i]) > MOST_BYTES) return 0;
  }
  return 1;
}

/* Note the sizes of a picture, or of the frames of a clip, and whether it is a picture. */
static int is_picture(Tensor *tensor) {
  const int32_t *sizes = tensor->type.layout.sizes;
  const uint32_t rank = tensor->type.layout.rank & 0x7F;
  if (!is_one_row(tensor, rank) || rank < 4) return 0;
  sizes += rank - 4; /* of a clip, those of a frame */
  if (sizes[3] != 1 && sizes[3] != 3 && sizes[3] != 4) return 0;
  tensor->height = (size_t)sizes[1], tensor->width = (size_t)sizes[2], tensor->channels = (size_t)sizes[3];
  return rank == 4;
}

/* Whether numbers can be written into it. */
static int takes_numbers(const Tensor *tensor) {
  return tensor->type.type == FLOAT32 || (tensor->type.type == INT8 && tensor->quantisation.scale > 0);
}

/* See that each input is what its role says, and the output an image. */
static void check_signature(Model *model) {
  const char *path = model->path;
  const int made = model->images.type.type;
  const int clip = is_one_row(&model->images, 5);
  int shapes = clip || is_one_row(&model->images, 4), types = made == FLOAT32 || made == UINT8 || made == INT8;
  for (int role = 0; role < ROLES; ++role) {
    Tensor *input = &model->input[model->place[role]];
    if (!model_input(model, role)) continue;
    shapes &= role == LATENTS || role == TOKENS ? is_one_row(input, 2) : role == LABELS ? is_one_row(input, 1) : is_picture(input);
    types &= role == LABELS || role == TOKENS ? input->type.type == INT32 : takes_numbers(input);
    if (role == HINTS) shapes &= input->channels == 4;
  }
  if (!shapes)
    stop(FAILED, "%s: expected latents (1, Z), labels (1,), tokens (1, L), images (1, H, W, C), clips (1, T, H, W, C), hints (1, H, W, 4)", path);
  if (!types)
    stop(FAILED, "%s: expected inputs in float32 or int8, labels and tokens in int32, images in float32, uint8 or int8", path);
  if (!is_picture(&model->images) && !(clip && model->images.channels))
    stop(FAILED, "%s: its images have %d channels, expected 1, 3 or 4", path, model->images.type.layout.sizes[clip ? 4 : 3]);
  model->frames = clip ? (size_t)model->images.type.layout.sizes[1] : 1;
}

static void make_buffer(const Model *model, Tensor *tensor, Handle needs) {
  Handle *into = &tensor->buffer;
  check(model, LiteRtCreateManagedTensorBufferFromRequirements(model->environment, &tensor->type, needs, into));
}

static void make_buffers(Model *model) {
  Handle needs = NULL;
  for (size_t i = 0; i < model->inputs; ++i) {
    check(model, LiteRtGetCompiledModelInputBufferRequirements(model->compiled, model->signature, i, &needs));
    make_buffer(model, &model->input[i], needs);
  }
  check(model, LiteRtGetCompiledModelOutputBufferRequirements(model->compiled, model->signature, 0, &needs));
  make_buffer(model, &model->images, needs);
}

/* For the processor alone: LiteRT would look for other accelerators, which takes time. */
void model_load(Model *model, const char *path) {
  const Option settings[] = {{ACCELERATORS, INTEGER, CPU}, {LEAST_SEVERITY, INTEGER, SILENT}};
  size_t size = 0;
  *model = (Model){.path = path};
  model->bytes = read_file(path, &size);
  setenv("LITERT_DISABLE_OPENCL", "1", 1);
  check(model, LiteRtCreateEnvironment(2, settings, &model->environment));
  check(model, LiteRtCreateModelFromBuffer(model->environment, model->bytes, size, &model->model));
  describe_signature(model, find_signature(model));
  check_signature(model);
  check(model, LiteRtCreateOptions(&model->options));
  check(model, LiteRtSetOptionsHardwareAccelerators(model->options, CPU));
  check(model, LiteRtCreateCompiledModel(model->environment, model->model, model->options, &model->compiled));
  make_buffers(model);
}

void model_release(Model *model) {
  for (size_t i = 0; i < model->inputs; ++i) LiteRtDestroyTensorBuffer(model->input[i].buffer);
  LiteRtDestroyTensorBuffer(model->images.buffer);
  LiteRtDestroyCompiledModel(model->compiled);
  LiteRtDestroyOptions(model->options);
  LiteRtDestroyModel(model->model);
  LiteRtDestroyEnvironment(model->environment);
  free(model->bytes);
}

void model_write(const Tensor *input, const float *values, size_t count) {
  const Quantisation *q = &input->quantisation;
  void *bytes = NULL;
  if (LiteRtLockTensorBuffer(input->buffer, &bytes, WRITE)) stop(FAILED, "cannot write an input of the model");
  for (size_t i = 0; i < count; ++i) {
    if (input->type.type == FLOAT32) ((float *)bytes)[i] = values[i];
    else ((int8_t *)bytes)[i] = genline_quantise(values[i], q->scale, (int32_t)q->zero_point);
  }
  LiteRtUnlockTensorBuffer(input->buffer);
}

void model_write_seed(const Model *model, int64_t seed, float truncation) {
  const Tensor *input = model_input(model, LATENTS);
  const size_t count = (size_t)input->type.layout.sizes[1];
  float *latents = malloc(count * sizeof *latents);
  if (!latents) stop(FAILED, "%s", strerror(ENOMEM));
  genline_latents(seed, truncation, latents, count);
  model_write(input, latents, count);
  free(latents);
}

void model_write_label(const Model *model, long label) {
  const Tensor *input = model_input(model, LABELS);
  void *bytes = NULL;
  if (!input) return;
  check(model, LiteRtLockTensorBuffer(input->buffer, &bytes, WRITE));
  *(int32_t *)bytes = (int32_t)label;
  check(model, LiteRtUnlockTensorBuffer(input->buffer));
}

Status model_run(Model *model) {
  Handle inputs[ROLES];
  for (size_t i = 0; i < model->inputs; ++i) inputs[i] = model->input[i].buffer;
  return LiteRtRunCompiledModel(model->compiled, model->signature, model->inputs, inputs, 1, &model->images.buffer);
}

void model_pixels(const Model *model, size_t frame, uint8_t *cell, size_t stride) {
  const Tensor *images = &model->images;
  const Quantisation *q = &images->quantisation;
  const int type = images->type.type;
  const size_t row = images->width * images->channels;
  void *bytes = NULL;
  check(model, LiteRtLockTensorBuffer(images->buffer, &bytes, READ));
  for (size_t i = 0; i < images->height * row; ++i) {
    const size_t at = frame * images->height * row + i;
    const int step = type == UINT8 ? ((uint8_t *)bytes)[at] : ((int8_t *)bytes)[at];
    const float value = type == FLOAT32 ? ((float *)bytes)[at] : (float)(step - q->zero_point) * q->scale;
    cell[i / row * stride + i % row] = genline_pixel(value);
  }
  check(model, LiteRtUnlockTensorBuffer(images->buffer));
}

/* The metadata, which is JSON; a text to be freed, NULL where there is none. */
static char *metadata(const Model *model) {
  const void *bytes = NULL;
  size_t size = 0;
  if (LiteRtGetModelMetadata(model->model, "genline", &bytes, &size)) return NULL;
  char *text = malloc(size + 1);
  if (!text) stop(FAILED, "%s", strerror(ENOMEM));
  memcpy(text, bytes, size);
  text[size] = 0;
  return text;
}

/* What follows a key in it; a text to be freed, NULL where the key is not there. */
static char *said(const Model *model, const char *key) {
  char quoted[64], *text = metadata(model);
  if (!text) return NULL;
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *found = strstr(text, quoted);
  char *rest = found ? strdup(found + strlen(quoted)) : NULL;
  free(text);
  return rest;
}

double model_number(const Model *model, const char *key) {
  char *rest = said(model, key);
  const double number = rest ? strtod(rest, NULL) : 0;
  free(rest);
  return number;
}

void model_text(const Model *model, const char *key, char *text, size_t size) {
  char *rest = said(model, key), *first = rest ? rest + strspn(rest, " ") : NULL;
  const size_t length = first && *first == '"' ? strcspn(++first, "\"\\") : 0;
  snprintf(text, size, "%.*s", length < size ? (int)length : 0, length ? first : "");
  free(rest);
}

void model_write_text(const Model *model, const char *text) {
  const Tensor *input = model_input(model, TOKENS);
  if (!input && text) stop(USAGE, "text: found '%s', expected none, since this generator takes no words", text);
  if (!input) return;
  const size_t count = (size_t)input->type.layout.sizes[1];
  char *json = metadata(model);
  GenlineWords words = {NULL, NULL, NULL};
  void *bytes = NULL;
  check(model, LiteRtLockTensorBuffer(input->buffer, &bytes, WRITE));
  int32_t *tokens = bytes;
  memset(tokens, 0, count * sizeof *tokens);
  if (text && (!json || !genline_words(json, &words)))
    stop(FAILED, "%s: its metadata has no vocabulary, which a text needs", model->path);
  const size_t found = text ? genline_tokens(&words, text, tokens, count) : 0;
  size_t unknown = 0;
  if (found > count) stop(FAILED, "%s", strerror(ENOMEM));
  for (size_t i = 0; i < found; ++i) unknown += tokens[i] == GENLINE_UNKNOWN;
  if (found && unknown == found) stop(USAGE, "text: found no word that %s knows in '%s'", model->path, text);
  if (unknown && err) fprintf(err, "%s: %s knows %zu of %zu words\n", program, model->path, found - unknown, found);
  if (err) fflush(err);
  check(model, LiteRtUnlockTensorBuffer(input->buffer));
  free((void *)words.becomes);
  free(json);
}

void model_check_label(const Model *model, long label) {
  const double count = model_number(model, "class_count");
  const long classes = count >= 1 && count < INT_MAX ? (long)count : INT_MAX;
  if (!model_input(model, LABELS)) {
    if (label >= 0) stop(USAGE, "label: found %ld, expected none, since this generator is not conditional", label);
  } else if (label < 0) {
    stop(USAGE, "label: found none, expected the index of a class (-l), since this generator is conditional");
  } else if (label >= classes) {
    stop(USAGE, "label: found %ld, expected 0 to %ld", label, classes - 1);
  }
}

float parse_truncation(const char *text) {
  char *end = NULL;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= -100 && value <= 100))
    stop(USAGE, "truncation: found '%s', expected a number from -100 to 100", text);
  return (float)value;
}

long parse_label(const char *text) {
  char *end = NULL;
  const long value = strtol(text, &end, 10);
  if (end == text || *end || value < 0 || value > INT_MAX)
    stop(USAGE, "label: found '%s', expected the index of a class, from 0", text);
  return value;
}
