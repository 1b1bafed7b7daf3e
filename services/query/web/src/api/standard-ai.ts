/** Two services are sold as one, under the name that customers know: `text.common.standardAi`. */
export const STANDARD_AI: readonly string[] = ["background_removal", "face_switch"];
