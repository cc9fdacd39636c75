// What the build generates so that a run need not: null here, replaced in a bundle (vite.config.ts, prepare.ts).

/** Handlers by name, in the order of the module's cases or exports. */
export interface PreparedHandlers {
  readonly names: readonly string[];
  /** Base64. */
  readonly wasm: string;
}

export interface PreparedCode {
  /** Of what the code was generated from (`inputsDigest`): code that was made for something else is not used. */
  readonly inputs: string;
  readonly hot: PreparedHandlers;
  readonly warm: PreparedHandlers;
  /** Base64. */
  readonly x87: string;
  /** The module of quick-decode.ts; and what it has learned of the handlers' examples, whose forms are those of the names in their order. */
  readonly decode: string;
  readonly classes: string;
  readonly templates: string;
  /** Modules for the usual layout by key, see placed-code.ts. */
  readonly placed: Readonly<Record<string, string>>;
}

export const preparedCode: PreparedCode | null = null;
