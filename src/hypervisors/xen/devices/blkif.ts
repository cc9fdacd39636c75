// The block protocol's requests and responses, in both word sizes.

/** xen/include/public/io/blkif.h */
export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_WRITE_BARRIER = 2;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_DISCARD = 5;
export const BLKIF_OP_INDIRECT = 6;
export const BLKIF_RSP_OKAY = 0;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_EOPNOTSUPP = -2;
export const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
export const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;

/** What a guest's `protocol` says of its word size: 64-bit members are aligned to 8 bytes or to 4. */
export interface BlkifLayout {
  readonly entryBytes: number;
  readonly id: number;
  readonly sector: number;
  readonly segments: number;
  readonly indirectId: number;
  readonly indirectSector: number;
  readonly indirectRefs: number;
}

export const BLKIF_LAYOUTS: Readonly<Record<string, BlkifLayout>> = {
  'x86_64-abi': {
    entryBytes: 112,
    id: 8,
    sector: 16,
    segments: 24,
    indirectId: 8,
    indirectSector: 16,
    indirectRefs: 28,
  },
  'x86_32-abi': {
    entryBytes: 108,
    id: 4,
    sector: 12,
    segments: 20,
    indirectId: 4,
    indirectSector: 12,
    indirectRefs: 24,
  },
};

export interface BlkifSegment {
  readonly ref: number;
  readonly first: number;
  readonly last: number;
}

export interface BlkifRequest {
  readonly operation: number;
  /** Read or write; for an indirect request the one that it stands for. */
  readonly action: number;
  readonly idLo: number;
  readonly idHi: number;
  readonly sector: number;
  readonly count: number;
  readonly segments: readonly BlkifSegment[];
  /** Frames that hold the segments of an indirect request. */
  readonly indirect: readonly number[];
}

const SEGMENT_BYTES = 8;
export const SEGMENTS_PER_PAGE = 4096 / SEGMENT_BYTES;

export function parseRequest(bytes: Uint8Array, layout: BlkifLayout): BlkifRequest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const operation = view.getUint8(0);
  const u64 = (at: number) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  const id = { idLo: view.getUint32(layout.id, true), idHi: view.getUint32(layout.id + 4, true) };
  if (operation === BLKIF_OP_INDIRECT) {
    const count = view.getUint16(2, true);
    const pages = Math.min(
      Math.ceil(count / SEGMENTS_PER_PAGE),
      BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST,
    );
    const indirect = Array.from({ length: pages }, (_, n) =>
      view.getUint32(layout.indirectRefs + n * 4, true),
    );
    const sector = u64(layout.indirectSector);
    return { operation, action: view.getUint8(1), ...id, sector, count, segments: [], indirect };
  }
  const count = view.getUint8(1);
  const held = Math.min(count, BLKIF_MAX_SEGMENTS_PER_REQUEST);
  const segments = Array.from({ length: held }, (_, n) =>
    parseSegment(view, layout.segments + n * SEGMENT_BYTES),
  );
  return {
    operation,
    action: operation,
    ...id,
    sector: u64(layout.sector),
    count,
    segments,
    indirect: [],
  };
}

export function parseSegment(view: DataView, at: number): BlkifSegment {
  return {
    ref: view.getUint32(at, true),
    first: view.getUint8(at + 4),
    last: view.getUint8(at + 5),
  };
}

/** Of an indirect request it names what that stood for, as front ends expect. */
export function blkifResponse(request: BlkifRequest, status: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, request.idLo, true);
  view.setUint32(4, request.idHi, true);
  view.setUint8(8, request.action);
  view.setInt16(10, status, true);
  return bytes;
}
