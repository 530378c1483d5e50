/**
 * What a TFLite file says of itself in its metadata entry `genline`: JSON in a buffer of a flatbuffer
 * (https://flatbuffers.dev/internals). Only what leads there is read.
 */

const ENTRY = "genline";
// Numbers of fields in tables of the TFLite schema (tensorflow/lite/schema/schema.fbs).
const MODEL = { buffers: 4, metadata: 6 };
const METADATA = { name: 0, buffer: 1 };
const BUFFER = { data: 0, offset: 1, size: 2 };

/**
 * @param {Uint8Array} bytes a TFLite file.
 * @returns {any} undefined where the file has no such entry, or none that can be read.
 */
export function readMetadata(bytes) {
  try {
    const text = find(bytes);
    return text && JSON.parse(new TextDecoder().decode(text));
  } catch {
    return undefined; // offsets that lead out of the file, or no JSON
  }
}

/** @param {Uint8Array} bytes */
function find(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const follow = (/** @type {number} */ at) => at + view.getUint32(at, true);
  /** The place of a table's field; 0 where it is absent. @type {(table: number, index: number) => number} */
  const field = (table, index) => {
    const vtable = table - view.getInt32(table, true);
    if (4 + 2 * index >= view.getUint16(vtable, true)) return 0;
    const offset = view.getUint16(vtable + 4 + 2 * index, true);
    return offset && table + offset;
  };
  const content = (/** @type {number} */ at) => {
    const vector = follow(at);
    return bytes.subarray(vector + 4, vector + 4 + view.getUint32(vector, true));
  };
  const tables = (/** @type {number} */ at) => {
    const vector = at && follow(at);
    return at ? Array.from({ length: view.getUint32(vector, true) }, (_, i) => follow(vector + 4 + 4 * i)) : [];
  };
  const model = follow(0);
  const entry = tables(field(model, MODEL.metadata)).find((table) => {
    const name = field(table, METADATA.name);
    return name && new TextDecoder().decode(content(name)) === ENTRY;
  });
  if (!entry) return undefined;
  const number = field(entry, METADATA.buffer);
  const buffer = tables(field(model, MODEL.buffers))[number && view.getUint32(number, true)];
  const data = field(buffer, BUFFER.data);
  if (data) return content(data);
  // A large model keeps its buffers behind the flatbuffer.
  const [offset, size] = [BUFFER.offset, BUFFER.size].map((index) => Number(view.getBigUint64(field(buffer, index), true)));
  return bytes.subarray(offset, offset + size);
}
