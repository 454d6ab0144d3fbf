// Waves of each embedded feature, and the values that they give.

const WAVES: u32 = 16u;
const VALUES: u32 = 3u;
