/* gensample: images from a genline TFLite file, on LiteRT's C library and nothing else.
 *
 *     gensample [-t TRUNCATION] [-l LABEL] MODEL SEED[-LAST] OUT
 *
 * One seed is one image, the same as genclient's and every other platform's; several make one sheet, row by row. It
 * takes any file of a version's tflite/ folder. Options come first, so that a seed may be negative.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../genline_seeds.h"

/* What is used of LiteRT's C API, as ai-edge-litert 2.3 exports it; its wheel holds no headers. Handles are opaque. */
typedef int Status; /* 0 is success */
typedef void *Handle;
typedef struct { uint32_t rank; int32_t sizes[8]; uint32_t strides[8]; } Layout; /* the rank is the low seven bits */
typedef struct { int type; Layout layout; } TensorType;
typedef struct { float scale; int64_t zero_point; } Quantisation;
typedef struct { int tag; int type; int64_t value; } Option; /* of an environment, of type integer */
enum { FLOAT32 = 1, INT32 = 2, UINT8 = 3, INT8 = 9 };        /* of TensorType.type */
enum { CPU = 1, READ = 0, WRITE = 1, PER_TENSOR = 1, INTEGER = 2, ACCELERATORS = 24, LEAST_SEVERITY = 25, SILENT = 4 };
_Static_assert(sizeof(TensorType) == 72 && sizeof(Quantisation) == 16, "LiteRT's layout of its structures");

Status LiteRtCreateEnvironment(int count, const Option *options, Handle *environment);
Status LiteRtCreateModelFromBuffer(Handle environment, const void *bytes, size_t size, Handle *model);
Status LiteRtGetModelMetadata(Handle model, const char *key, const void **bytes, size_t *size);
Status LiteRtGetNumModelSignatures(Handle model, size_t *count);
Status LiteRtGetModelSignature(Handle model, size_t index, Handle *signature);
Status LiteRtGetSignatureKey(Handle signature, const char **key);
Status LiteRtGetNumSignatureInputs(Handle signature, size_t *count);
Status LiteRtGetNumSignatureOutputs(Handle signature, size_t *count);
Status LiteRtGetSignatureInputName(Handle signature, size_t index, const char **name);
Status LiteRtGetSignatureInputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetSignatureOutputTensorByIndex(Handle signature, size_t index, Handle *tensor);
Status LiteRtGetRankedTensorType(Handle tensor, TensorType *type);
Status LiteRtGetQuantizationTypeId(Handle tensor, int *kind);
Status LiteRtGetPerTensorQuantization(Handle tensor, Quantisation *quantisation);
Status LiteRtCreateOptions(Handle *options);
Status LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
Status LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
Status LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *needs);
Status LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *needs);
Status LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType *type, Handle needs,
                                                       Handle *buffer);
Status LiteRtLockTensorBuffer(Handle buffer, void **bytes, int mode);
Status LiteRtUnlockTensorBuffer(Handle buffer);
Status LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle *input, size_t outputs,
                              Handle *output);
void LiteRtDestroyTensorBuffer(Handle buffer);
void LiteRtDestroyCompiledModel(Handle compiled);
void LiteRtDestroyOptions(Handle options);
void LiteRtDestroyModel(Handle model);
void LiteRtDestroyEnvironment(Handle environment);

enum { FAILED = 1, USAGE = 2, MOST_IMAGES = 4096, MOST_BYTES = 1 << 28 };

typedef struct {
  Handle tensor, buffer;
  TensorType type;
  Quantisation quantisation;
} Tensor;

static struct {
  const char *path;
  void *bytes;
  Handle environment, model, options, compiled;
  size_t signature, inputs, outputs, latents_at, labels_at; /* labels_at is 2 where it takes no labels */
  Tensor input[2], images;
  size_t latent_size, height, width, channels;
} generator;

static FILE *out, *err;

/* A stream of our own on `descriptor`; whatever else writes there, as LiteRT does of its own accord, goes nowhere. */
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

/* One line on stderr, and out. */
static _Noreturn void stop(int code, const char *format, ...) {
  va_list values;
  va_start(values, format);
  if (err) {
    fputs("gensample: ", err);
    vfprintf(err, format, values);
    fputc('\n', err);
    fflush(err);
  }
  va_end(values);
  exit(code);
}

/* See that LiteRT did what it was asked for. */
static void check(Status status) {
  if (status) stop(FAILED, "%s is not a TFLite model that LiteRT can run: status %d", generator.path, status);
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

/* The signature of that name, else none. */
static Handle find_signature(const char *wanted) {
  size_t count = 0;
  check(LiteRtGetNumModelSignatures(generator.model, &count));
  for (size_t i = 0; i < count; ++i) {
    Handle signature = NULL;
    const char *key = "";
    check(LiteRtGetModelSignature(generator.model, i, &signature));
    check(LiteRtGetSignatureKey(signature, &key));
    generator.signature = i;
    if (!strcmp(key, wanted)) return signature;
  }
  stop(FAILED, "%s has no signature '%s', expected latents → images", generator.path, wanted);
}

static void describe(Tensor *into) {
  int kind = 0;
  check(LiteRtGetRankedTensorType(into->tensor, &into->type));
  check(LiteRtGetQuantizationTypeId(into->tensor, &kind));
  if (kind == PER_TENSOR) check(LiteRtGetPerTensorQuantization(into->tensor, &into->quantisation));
}

/* Which tensors the signature has, and what they are. */
static void describe_signature(Handle signature) {
  generator.latents_at = generator.labels_at = 2;
  check(LiteRtGetNumSignatureInputs(signature, &generator.inputs));
  check(LiteRtGetNumSignatureOutputs(signature, &generator.outputs));
  for (size_t i = 0; i < generator.inputs && generator.inputs <= 2; ++i) {
    const char *name = "";
    check(LiteRtGetSignatureInputName(signature, i, &name));
    if (!strcmp(name, "latents")) generator.latents_at = i;
    if (!strcmp(name, "labels")) generator.labels_at = i;
    check(LiteRtGetSignatureInputTensorByIndex(signature, i, &generator.input[i].tensor));
    describe(&generator.input[i]);
  }
  if (generator.latents_at > 1 || generator.inputs != (generator.labels_at < 2 ? 2 : 1) || generator.outputs != 1)
    stop(FAILED, "%s: its signature is not latents [, labels] → images", generator.path);
  check(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &generator.images.tensor));
  describe(&generator.images);
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

/* See that it is a generator, latents (1, Z) [, labels (1,)] → images (1, H, W, C), and note its sizes. */
static void check_signature(void) {
  const Tensor *latents = &generator.input[generator.latents_at], *images = &generator.images;
  const Tensor *labels = generator.labels_at < 2 ? &generator.input[generator.labels_at] : NULL;
  const int in = latents->type.type, seen = images->type.type;
  if (!is_one_row(latents, 2) || !is_one_row(images, 4) || (labels && !is_one_row(labels, 1)))
    stop(FAILED, "%s: expected latents (1, Z), labels (1,) and images (1, H, W, C)", generator.path);
  if ((in != FLOAT32 && in != INT8) || (seen != FLOAT32 && seen != UINT8 && seen != INT8) ||
      (labels && labels->type.type != INT32) || (in == INT8 && !(latents->quantisation.scale > 0)))
    stop(FAILED, "%s: expected latents in float32 or int8, labels in int32, images in float32, uint8 or int8",
         generator.path);
  generator.latent_size = (size_t)latents->type.layout.sizes[1];
  generator.height = (size_t)images->type.layout.sizes[1];
  generator.width = (size_t)images->type.layout.sizes[2];
  generator.channels = (size_t)images->type.layout.sizes[3];
  if (generator.channels != 1 && generator.channels != 3 && generator.channels != 4)
    stop(FAILED, "%s: its images have %zu channels, expected 1, 3 or 4", generator.path, generator.channels);
}

static void make_buffer(Tensor *tensor, Handle needs) {
  check(LiteRtCreateManagedTensorBufferFromRequirements(generator.environment, &tensor->type, needs, &tensor->buffer));
}

static void make_buffers(void) {
  Handle needs = NULL;
  for (size_t i = 0; i < generator.inputs; ++i) {
    check(LiteRtGetCompiledModelInputBufferRequirements(generator.compiled, generator.signature, i, &needs));
    make_buffer(&generator.input[i], needs);
  }
  check(LiteRtGetCompiledModelOutputBufferRequirements(generator.compiled, generator.signature, 0, &needs));
  make_buffer(&generator.images, needs);
}

/* Load and compile the file, for the processor alone: LiteRT would look for other accelerators, which takes time. */
static void load(const char *path) {
  const Option settings[] = {{ACCELERATORS, INTEGER, CPU}, {LEAST_SEVERITY, INTEGER, SILENT}};
  size_t size = 0;
  generator.path = path;
  generator.bytes = read_file(path, &size);
  setenv("LITERT_DISABLE_OPENCL", "1", 1);
  check(LiteRtCreateEnvironment(2, settings, &generator.environment));
  check(LiteRtCreateModelFromBuffer(generator.environment, generator.bytes, size, &generator.model));
  describe_signature(find_signature("generate"));
  check_signature();
  check(LiteRtCreateOptions(&generator.options));
  check(LiteRtSetOptionsHardwareAccelerators(generator.options, CPU));
  check(LiteRtCreateCompiledModel(generator.environment, generator.model, generator.options, &generator.compiled));
  make_buffers();
}

/* The number behind a key of the file's own metadata, a JSON text; 0 where it does not say. */
static double described(const char *key) {
  const void *bytes = NULL;
  size_t size = 0;
  char quoted[64];
  if (LiteRtGetModelMetadata(generator.model, "genline", &bytes, &size)) return 0;
  char *text = malloc(size + 1);
  if (!text) stop(FAILED, "%s", strerror(ENOMEM));
  memcpy(text, bytes, size);
  text[size] = 0;
  snprintf(quoted, sizeof quoted, "\"%s\":", key);
  const char *found = strstr(text, quoted);
  const double number = found ? strtod(found + strlen(quoted), NULL) : 0;
  free(text);
  return number;
}

/* The number of classes; INT_MAX where the file does not say. */
static long class_count(void) {
  const double count = described("class_count");
  return count >= 1 && count < INT_MAX ? (long)count : INT_MAX;
}

/* Files of integers hold the generator's images up to a truncation that they name; beyond it the images are others. */
static void check_truncation(float truncation) {
  const double most = described("truncation_at_most");
  const float size = truncation < 0 ? -truncation : truncation;
  if (!(most > 0) || size <= (float)most || !err) return;
  fprintf(err, "gensample: %s: its integers hold the generator's images up to a truncation of %g, not of %g; ",
          generator.path, most, (double)truncation);
  fputs("the float32 and dynamic files take any\n", err);
  fflush(err);
}

/* See that a label is given exactly where the generator takes one, and is one of its classes. */
static void check_label(long label) {
  const long classes = class_count();
  if (generator.labels_at > 1) {
    if (label >= 0) stop(USAGE, "label: found %ld, expected none, since this generator is not conditional", label);
  } else if (label < 0) {
    stop(USAGE, "label: found none, expected the index of a class (-l), since this generator is conditional");
  } else if (label >= classes) {
    stop(USAGE, "label: found %ld, expected 0 to %ld", label, classes - 1);
  }
}

static void write_latents(int64_t seed, float truncation) {
  const Tensor *input = &generator.input[generator.latents_at];
  float *latents = malloc(generator.latent_size * sizeof *latents);
  void *bytes = NULL;
  if (!latents) stop(FAILED, "%s", strerror(ENOMEM));
  genline_latents(seed, truncation, latents, generator.latent_size);
  check(LiteRtLockTensorBuffer(input->buffer, &bytes, WRITE));
  for (size_t i = 0; i < generator.latent_size; ++i) {
    const Quantisation *q = &input->quantisation;
    if (input->type.type == FLOAT32) ((float *)bytes)[i] = latents[i];
    else ((int8_t *)bytes)[i] = genline_quantise(latents[i], q->scale, (int32_t)q->zero_point);
  }
  check(LiteRtUnlockTensorBuffer(input->buffer));
  free(latents);
}

static void write_label(long label) {
  void *bytes = NULL;
  if (generator.labels_at > 1) return;
  check(LiteRtLockTensorBuffer(generator.input[generator.labels_at].buffer, &bytes, WRITE));
  *(int32_t *)bytes = (int32_t)label;
  check(LiteRtUnlockTensorBuffer(generator.input[generator.labels_at].buffer));
}

/* Pixel (y, x) of an image is at cell[y * stride + x], whatever the type of the model's output. */
static void read_pixels(uint8_t *cell, size_t stride) {
  const Quantisation *q = &generator.images.quantisation;
  const int type = generator.images.type.type;
  const size_t row = generator.width * generator.channels;
  void *bytes = NULL;
  check(LiteRtLockTensorBuffer(generator.images.buffer, &bytes, READ));
  for (size_t i = 0; i < generator.height * row; ++i) {
    const int step = type == UINT8 ? ((uint8_t *)bytes)[i] : ((int8_t *)bytes)[i];
    const float value = type == FLOAT32 ? ((float *)bytes)[i] : (float)(step - q->zero_point) * q->scale;
    cell[i / row * stride + i % row] = genline_pixel(value);
  }
  check(LiteRtUnlockTensorBuffer(generator.images.buffer));
}

/* The images of `count` seeds from `first` on, nearly as many rows as columns; places left over are black. */
static uint8_t *sheet(int64_t first, size_t count, float truncation, long label, size_t *height, size_t *width) {
  size_t columns = 1;
  while (columns * columns < count) ++columns;
  const size_t row = generator.width * generator.channels, stride = columns * row;
  *height = (count + columns - 1) / columns * generator.height, *width = columns * generator.width;
  if (stride > MOST_BYTES / *height) stop(USAGE, "seed: %zu images of this size are too many for a sheet", count);
  uint8_t *pixels = calloc(*height, stride);
  if (!pixels) stop(FAILED, "%s", strerror(ENOMEM));
  write_label(label);
  for (size_t i = 0; i < count; ++i) {
    write_latents(first + (int64_t)i, truncation);
    Handle inputs[] = {generator.input[0].buffer, generator.input[1].buffer};
    const Status status = LiteRtRunCompiledModel(generator.compiled, generator.signature, generator.inputs, inputs, 1,
                                                 &generator.images.buffer);
    if (status)
      stop(FAILED, "%s fails to run%s: status %d", generator.path, label < 0 ? "" : " with that label", status);
    read_pixels(pixels + i / columns * generator.height * stride + i % columns * row, stride);
  }
  return pixels;
}

/* Netpbm: PGM for grey, PPM for colour, PAM with transparency; a name that ends in .ppm gets that for grey as well. */
static int write_netpbm(FILE *file, const char *name, const uint8_t *pixels, size_t height, size_t width) {
  const size_t channels = generator.channels, length = strlen(name), copies = channels == 1 && length > 4 &&
                          !strcmp(name + length - 4, ".ppm") ? 3 : 1;
  if (channels == 4)
    fprintf(file, "P7\nWIDTH %zu\nHEIGHT %zu\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n", width, height);
  else
    fprintf(file, "P%d\n%zu %zu\n255\n", channels * copies == 1 ? 5 : 6, width, height);
  for (size_t i = 0; i < height * width * channels; ++i)
    for (size_t copy = 0; copy < copies; ++copy) putc(pixels[i], file);
  return fflush(file) || ferror(file);
}

/* A new file beside a place, under a name that nobody has; with the rights that a new file gets. */
static FILE *open_beside(char *beside) {
  const int descriptor = mkstemp(beside);
  if (descriptor < 0) return NULL;
  const mode_t mask = umask(0);
  umask(mask);
  FILE *file = fchmod(descriptor, 0666 & ~mask) ? NULL : fdopen(descriptor, "wb");
  if (!file) {
    unlink(beside);
    close(descriptor);
  }
  return file;
}

/* Write beside the place and rename, so that nobody reads half a picture; `-` and what is no plain file, directly. */
static void write_picture(const char *name, const uint8_t *pixels, size_t height, size_t width) {
  struct stat about;
  char beside[PATH_MAX + 1];
  const int direct = !strcmp(name, "-") || (!stat(name, &about) && !S_ISREG(about.st_mode));
  if (snprintf(beside, sizeof beside, direct ? "%s" : "%s.XXXXXX", name) >= PATH_MAX)
    stop(FAILED, "cannot write %s: %s", name, strerror(ENAMETOOLONG));
  FILE *file = !strcmp(name, "-") ? out : direct ? fopen(name, "wb") : open_beside(beside);
  if (!file) stop(FAILED, "cannot write %s: %s", name, strerror(errno));
  int failed = write_netpbm(file, name, pixels, height, width) || (!direct && fsync(fileno(file)));
  int reason = errno;
  if (fclose(file) && !failed) failed = 1, reason = errno;
  if (!failed && !direct && rename(beside, name)) failed = 1, reason = errno;
  if (failed && !direct) unlink(beside);
  if (failed) stop(FAILED, "cannot write %s: %s", name, strerror(reason));
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

static float parse_truncation(const char *text) {
  char *end = NULL;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= -100 && value <= 100))
    stop(USAGE, "truncation: found '%s', expected a number from -100 to 100", text);
  return (float)value;
}

static long parse_label(const char *text) {
  char *end = NULL;
  const long value = strtol(text, &end, 10);
  if (end == text || *end || value < 0 || value > INT_MAX)
    stop(USAGE, "label: found '%s', expected the index of a class, from 0", text);
  return value;
}

static void release(void) {
  for (size_t i = 0; i < generator.inputs; ++i) LiteRtDestroyTensorBuffer(generator.input[i].buffer);
  LiteRtDestroyTensorBuffer(generator.images.buffer);
  LiteRtDestroyCompiledModel(generator.compiled);
  LiteRtDestroyOptions(generator.options);
  LiteRtDestroyModel(generator.model);
  LiteRtDestroyEnvironment(generator.environment);
  free(generator.bytes);
}

int main(int argc, char **argv) {
  static const char usage[] = "usage: gensample [-t TRUNCATION] [-l LABEL] MODEL SEED[-LAST] OUT   (OUT may be -)";
  float truncation = 1;
  long label = -1;
  int option;
  err = take(STDERR_FILENO), out = take(STDOUT_FILENO);
  while ((option = getopt(argc, argv, "+:t:l:h")) != -1) {
    if (option == 't') truncation = parse_truncation(optarg);
    else if (option == 'l') label = parse_label(optarg);
    else if (option == 'h') return !out || fputs(usage, out) < 0 || fputs("\n", out) < 0 || fflush(out);
    else if (option == ':') stop(USAGE, "-%c: found no value; %s", optopt, usage);
    else stop(USAGE, "-%c: no such option; %s", optopt, usage);
  }
  if (argc - optind != 3) stop(USAGE, "found %d arguments, expected 3; %s", argc - optind, usage);
  size_t count, height, width;
  const int64_t first = parse_seeds(argv[optind + 1], &count);
  load(argv[optind]);
  check_label(label);
  check_truncation(truncation);
  uint8_t *pixels = sheet(first, count, truncation, label, &height, &width);
  write_picture(argv[optind + 2], pixels, height, width);
  free(pixels);
  release();
  return 0;
}
