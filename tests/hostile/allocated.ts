// How many bytes of typed arrays some code asks for, given back early or not.

/** Stands in for the constructors while `act` runs; libraries that have kept the originals are not seen. */
export function allocated<T>(act: () => T): { code: T; bytes: number } {
  const { Uint8Array: bytes8, Uint32Array: bytes32 } = globalThis;
  let bytes = 0;
  const counting = <C extends typeof bytes8 | typeof bytes32>(original: C): C => {
    const proxy: C = new Proxy(original, {
      construct(target, args, newTarget) {
        if (typeof args[0] === 'number') bytes += args[0] * original.BYTES_PER_ELEMENT;
        return Reflect.construct(target, args, newTarget === proxy ? target : newTarget);
      },
    });
    return proxy;
  };
  globalThis.Uint8Array = counting(bytes8);
  globalThis.Uint32Array = counting(bytes32);
  try {
    return { code: act(), bytes };
  } finally {
    Object.assign(globalThis, { Uint8Array: bytes8, Uint32Array: bytes32 });
  }
}
