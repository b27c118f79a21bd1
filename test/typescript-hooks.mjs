/**
 * `.ts` files as modules, by esbuild. Not by tsx: that has every function that is made get its name by a call at run time, which
 * was a fifth of what the consensus simulator took; and it makes CommonJS of all that mocha requires.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'

const target = `node${process.versions.node}`

/** `./x.js` in TypeScript is `./x.ts`, unless there is none. */
export async function resolve(specifier, context, next) {
  if (!/^\.\.?\/.*\.js$/.test(specifier) || context.parentURL?.endsWith('.ts') !== true) return next(specifier, context)
  try {
    return await next(`${specifier.slice(0, -3)}.ts`, context)
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    return next(specifier, context)
  }
}

export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  const sourcefile = fileURLToPath(url)
  const { code } = await transform(await readFile(sourcefile, 'utf8'), { loader: 'ts', format: 'esm', target, sourcefile, sourcemap: 'inline', sourcesContent: false })
  return { format: 'module', source: code, shortCircuit: true }
}
