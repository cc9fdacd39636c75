// Where the modern registers of virtio over PCI lie in their BAR; drivers learn it from the capabilities.

/** virtio 1.2 4.1.4.3 to 4.1.4.6 */
export const REGION = { common: 0x0000, isr: 0x1000, device: 0x2000, notify: 0x3000 } as const;
export const REGION_BYTES = 0x1000;
export const MODERN_BYTES = 0x4000;
/** Bytes from one queue's notification address to the next. */
export const NOTIFY_MULTIPLIER = 4;
