// Oscillators derived from the nanosecond clock: exact integers, no drift, nothing accumulated.

const SECOND = 1e9;

/** The 8254's input clock: 14.31818 MHz / 12 (8254 datasheet; IBM PC/AT Technical Reference, system timer). */
export const PIT_HZ = 1193182;
/** The ACPI power management timer (ACPI 6.4 4.8.2.1). */
export const PM_TIMER_HZ = 3579545;
/** The RTC's crystal (MC146818A datasheet, time base). */
export const RTC_HZ = 32768;
/** The UART's crystal (PC16550D datasheet 8.3, 1.8432 MHz). */
export const UART_HZ = 1843200;

/**
 * Whole periods of `hz` that have passed at `nanos`. Seconds and the rest apart, so that no product reaches 2^53 for any
 * `hz` up to 9 MHz; the remainder is taken by `%`, which is exact, where a division could round up to an integer.
 */
export function nanosToTicks(hz: number, nanos: number): number {
  const rest = nanos % SECOND;
  const part = rest * hz;
  return ((nanos - rest) / SECOND) * hz + (part - (part % SECOND)) / SECOND;
}

/** The first nanosecond at which `nanosToTicks` has reached `ticks`. */
export function ticksToNanos(hz: number, ticks: number): number {
  const rest = ticks % hz;
  const part = rest * SECOND;
  const over = part % hz;
  return ((ticks - rest) / hz) * SECOND + (part - over) / hz + (over > 0 ? 1 : 0);
}
