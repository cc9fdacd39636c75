// Rule: no clock, chance, platform or locale reaches the core, and hot paths stay free of `try` and BigInt.

import { describe, expect, it } from 'vitest';
import { readSources, type Sources } from './source-files.ts';
import { type Token, tokenize } from './source-tokens.ts';

/** The folders that may know a platform; all the rest of src is the core. */
const PLATFORM = /^src\/(host|cli|web)\//;
/** What runs while the guest does. The generators of WebAssembly beside it (module.ts, site.ts, jit/) write 64-bit constants as BigInt. */
const HOT =
  /^src\/(cpu\/interp\/(engine|blocks|records)\.ts$|cpu\/(mmu|tlb|walk)\.ts$|machine\/memory\.ts$)/;

const FORBIDDEN_NAMES = new Set([
  ...['Date', 'performance', 'crypto', 'Intl', 'process', 'navigator'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'requestAnimationFrame'],
  ...['eval', 'WeakRef', 'FinalizationRegistry'],
]);
const FORBIDDEN_MEMBERS = new Set(['localeCompare', 'toLocaleString', 'toLocaleLowerCase']);
/** Exact by IEEE 754 or on integers; engines may differ in the last bit of all others. */
const EXACT_MATH = new Set([
  ...['abs', 'ceil', 'clz32', 'floor', 'fround', 'imul', 'max', 'min', 'round', 'sign', 'sqrt'],
  ...['trunc', 'pow', 'log2', 'PI', 'E', 'LN2', 'LN10', 'LOG2E', 'LOG10E', 'SQRT2'],
]);
const HOT_FORBIDDEN = new Set([
  ...['try', 'BigInt', 'bigint', 'BigInt64Array', 'BigUint64Array'],
  ...['getBigInt64', 'getBigUint64', 'setBigInt64', 'setBigUint64'],
]);

function check(sources: Sources): string[] {
  return [...sources]
    .filter(([path]) => !path.endsWith('.test.ts') && !PLATFORM.test(path))
    .flatMap(([path, text]) => checkFile(path, text));
}

function checkFile(path: string, text: string): string[] {
  const tokens = tokenize(text).filter((token) => token.kind !== 'comment');
  return tokens.flatMap((token, i) => {
    const why = refusal(tokens, i) ?? (HOT.test(path) ? hotRefusal(token) : undefined);
    return why ? [`${path}:${token.line}: ${why}`] : [];
  });
}

function refusal(tokens: readonly Token[], i: number): string | undefined {
  const { kind, text } = tokens[i] as Token;
  if (kind !== 'word') return undefined;
  const isMember = tokens[i - 1]?.text === '.' && tokens[i - 2]?.text !== 'globalThis';
  const next = tokens[i + 1]?.text;
  if (isMember) return FORBIDDEN_MEMBERS.has(text) ? `${text} depends on the locale` : undefined;
  if (FORBIDDEN_NAMES.has(text)) return `${text} is not for the core`;
  if (text === 'globalThis' && next !== '.') return 'globalThis hides what is used';
  if (text === 'Function' && tokens[i - 1]?.text === 'new') return 'new Function is eval';
  if (text !== 'Math') return undefined;
  const member = next === '.' ? tokens[i + 2]?.text : undefined;
  return member !== undefined && EXACT_MATH.has(member)
    ? undefined
    : `Math.${member ?? '?'} is chance or differs between engines`;
}

const hotRefusal = ({ kind, text }: Token): string | undefined =>
  (kind === 'word' && HOT_FORBIDDEN.has(text)) || (kind === 'number' && /^\d[\w]*n$/.test(text))
    ? `${text} on a hot path`
    : undefined;

describe('the core', () => {
  it('is seen by the check', () => {
    const core = [...readSources(['src']).keys()].filter((path) => !PLATFORM.test(path));
    expect(core.length).toBeGreaterThan(5);
  });

  it('uses no clock, chance, timer, locale or inexact Math; its hot paths no try and no BigInt', () => {
    expect(check(readSources(['src']))).toEqual([]);
  });
});

describe('a planted violation', () => {
  const planted = (path: string, text: string): string[] => check(new Map([[path, text]]));

  it.each([
    'const now = Date.now();',
    'const now = new Date();',
    'const now = globalThis.Date.now();',
    "const now = globalThis['Date'].now();",
    'const chance = Math.random();',
    "const chance = Math['random']();",
    'const { random } = Math;',
    'const angle = Math.sin(1);',
    'setTimeout(() => {}, 1);',
    'setInterval(tick, 1);',
    'const t = performance.now();',
    'const order = a.localeCompare(b);',
    'const f = new Function(text);',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source text of a template.
    'const s = `${Date.now()}`;',
  ])('is caught in the core: %s', (text) => {
    expect(planted('src/machine/clock.ts', text)).toHaveLength(1);
  });

  it.each(['try { f(); } finally { g(); }', 'const a = BigInt(1);', 'const a = 10n;'])(
    'is caught on a hot path: %s',
    (text) => {
      expect(planted('src/cpu/interp/engine.ts', text)).toHaveLength(1);
      expect(planted('src/cpu/mmu.ts', text)).toHaveLength(1);
      expect(planted('src/cpu/reference.ts', text)).toEqual([]);
    },
  );

  it('is not seen in comments, strings, members, hosts and tests', () => {
    const fine =
      "// Date, try, 1n\nconst a = 'Date'; const b = clock.performance; Math.imul(1, 2);";
    expect(planted('src/cpu/mmu.ts', fine)).toEqual([]);
    expect(planted('src/host/node/clock.ts', 'Date.now();')).toEqual([]);
    expect(planted('src/cpu/mmu.test.ts', 'Date.now();')).toEqual([]);
  });
});
