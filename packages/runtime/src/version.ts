/** The product's version, as /version and `quorate --version` say it. */
export const QUORATE_VERSION = "0.1.0";
