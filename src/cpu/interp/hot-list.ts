// Recorded by tools/record-hot-list.ts: one example of each hot handler (mode, code bytes, producer of the flags).

export const hotList: readonly string[] = [];
