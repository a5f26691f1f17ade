/** The oldest browsers that what is built runs in. */
export const browsers = ["chrome111", "firefox113", "safari16.4"];
