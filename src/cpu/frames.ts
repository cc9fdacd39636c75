// The attribute byte that each frame of RAM has in linear memory (`Layout.frameAttrs`).

/** Accesses go to the border, not to RAM: a hole for devices below `ramBytes`. */
export const FRAME_MMIO = 1;
/** The frame holds decoded code: stores come to the MMU, which tells the engine. */
export const FRAME_CODE = 2;
/** Somebody wants to see stores to the frame (page-table watchers, debuggers). */
export const FRAME_WATCH = 4;
/** Written since the bit was last cleared: what a snapshot has to store. */
export const FRAME_DIRTY = 8;
