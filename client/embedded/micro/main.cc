// The generator on a microcontroller, with TensorFlow Lite for Microcontrollers: a seed in, a picture out.
//
// NOT COMPILED HERE: there is no toolchain for a controller in this repository. What it is made of is tested: the array
// that model_to_c.py writes, genline_seeds.h, and the model itself, run by tflite-micro's own interpreter.
//
// Into a project that has tflite-micro: this file, ../genline_seeds.h, and model_data.h and model_data.cc as written by
//
//     python model_to_c.py models/digits/1/tflite/digits-micro.tflite .
//
// `python report.py FILE` gives the arena and the ops that a model needs.
#include <cstdint>
#include <cstdio>

#include "genline_seeds.h"
#include "model_data.h"
#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

constexpr int kArenaBytes = 96 * 1024;  // of report.py, rounded up
alignas(16) uint8_t arena[kArenaBytes];

// The ops of genline's grey generators; those with classes want AddGather and AddConcatenation as well, those in colour
// AddResizeBilinear. AddTransposeConv is for files that genexport did not write, which has convolutions and a shuffle
// instead. Each op that is not there is flash saved.
using Resolver = tflite::MicroMutableOpResolver<11>;

TfLiteStatus AddOps(Resolver& resolver) {
  TF_LITE_ENSURE_STATUS(resolver.AddFullyConnected());
  TF_LITE_ENSURE_STATUS(resolver.AddReshape());
  TF_LITE_ENSURE_STATUS(resolver.AddPad());
  TF_LITE_ENSURE_STATUS(resolver.AddConv2D());
  TF_LITE_ENSURE_STATUS(resolver.AddDepthToSpace());
  TF_LITE_ENSURE_STATUS(resolver.AddStridedSlice());
  TF_LITE_ENSURE_STATUS(resolver.AddTransposeConv());
  TF_LITE_ENSURE_STATUS(resolver.AddTanh());
  TF_LITE_ENSURE_STATUS(resolver.AddMul());
  TF_LITE_ENSURE_STATUS(resolver.AddAdd());
  return resolver.AddSub();
}

// The latents of a seed, four at a time, as the model's int8 input takes them: no array of floats is needed.
void WriteLatents(int64_t seed, TfLiteTensor* input) {
  const int count = input->dims->data[1];
  for (int start = 0; start < count; start += 4) {
    uint32_t words[4];
    float four[4];
    genline_philox(seed, start / 4, words);
    genline_normal(words[0], words[1], four);
    genline_normal(words[2], words[3], four + 2);
    for (int i = 0; i < 4 && start + i < count; ++i) {
      input->data.int8[start + i] = genline_quantise(four[i], input->params.scale, input->params.zero_point);
    }
  }
}

// A picture in letters on the console; for a display, write genline_pixel's grey levels to it instead.
void Show(const TfLiteTensor* output) {
  static const char kInk[] = " .:-=+*#%@";
  const int height = output->dims->data[1], width = output->dims->data[2], channels = output->dims->data[3];
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int8_t step = output->data.int8[(y * width + x) * channels];
      const uint8_t level = genline_pixel((step - output->params.zero_point) * output->params.scale);
      putchar(kInk[level * 9 / 255]);
    }
    putchar('\n');
  }
}

}  // namespace

int main() {
  const tflite::Model* model = tflite::GetModel(model_data);
  static Resolver resolver;
  if (model->version() != TFLITE_SCHEMA_VERSION || AddOps(resolver) != kTfLiteOk) return 1;
  static tflite::MicroInterpreter interpreter(model, resolver, arena, kArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;  // it says whether the arena or an op is wanting
  MicroPrintf("arena: %u of %d bytes", static_cast<unsigned>(interpreter.arena_used_bytes()), kArenaBytes);
  TfLiteTensor* latents = nullptr;
  for (size_t i = 0; i < interpreter.inputs_size(); ++i) {
    TfLiteTensor* input = interpreter.input(i);
    if (input->type == kTfLiteInt8) latents = input;
    if (input->type == kTfLiteInt32) input->data.i32[0] = 0;  // the class, where the model takes one
  }
  if (latents == nullptr) return 1;
  for (int64_t seed = 0; seed < 4; ++seed) {
    WriteLatents(seed, latents);
    if (interpreter.Invoke() != kTfLiteOk) return 1;
    Show(interpreter.output(0));
  }
  return 0;
}
