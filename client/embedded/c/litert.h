/* What is used of LiteRT's C API, as ai-edge-litert 2.3 exports it; its wheel holds no headers. Handles are opaque. */
#ifndef LITERT_H_
#define LITERT_H_

#include <stddef.h>
#include <stdint.h>

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

#endif /* LITERT_H_ */
