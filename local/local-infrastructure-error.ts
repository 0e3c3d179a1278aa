/**
 * What went wrong and what to do about it, in one sentence that can be shown to a person as it is.
 * Everything that local infrastructure throws on purpose is one of these.
 */
export class LocalInfrastructureError extends Error {
  override readonly name = 'LocalInfrastructureError';
}

const SENTENCES: Readonly<Record<string, (path: string) => string>> = {
  EACCES: (path) => `${path} cannot be written by this user: choose another data folder or mend its owner and mode.`,
  EPERM: (path) => `${path} cannot be changed by this user: choose another data folder or mend its owner and mode.`,
  EROFS: (path) => `${path} is on a read-only file system: choose another data folder.`,
  ENOSPC: (path) => `No space is left on the disk that holds ${path}: free some and start again.`,
  EDQUOT: (path) => `The disk quota for ${path} is used up: free some space and start again.`,
  ENOTDIR: (path) => `${path} cannot be a folder because a file stands in its way: choose another data folder.`,
  EEXIST: (path) => `${path} cannot be a folder because a file stands in its way: choose another data folder.`,
  ENAMETOOLONG: (path) => `${path} is too long a path: choose another data folder.`,
};

/** The operating system's error code (`ENOSPC`…) of whatever was thrown, if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Turns an error of the file system into the sentence for it; leaves an error that is none of the system's as it is. */
export function explained(error: unknown, folder: string): Error {
  if (error instanceof LocalInfrastructureError) return error;
  const path = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : folder;
  const sentence = SENTENCES[errorCode(error) ?? ''];
  if (sentence !== undefined) return new LocalInfrastructureError(sentence(path), { cause: error });
  if (error instanceof Error && 'syscall' in error) {
    return new LocalInfrastructureError(`${path} cannot be used (${error.message}): choose another data folder.`, {
      cause: error,
    });
  }
  return error instanceof Error ? error : new Error(String(error));
}
