// Teeth, tongue, cloth, felt and frames.
uniform sampler2D cloth;
uniform vec3 base_colour;
uniform vec2 neckline;
uniform vec2 hem;
uniform int teeth_part;
uniform int tongue_part;

void main() {
    vec3 n = normalize(world_normal);
    if (!gl_FrontFacing) n = -n;
    int style = face_kind.y;
    vec3 albedo = base_colour;
    float gloss = 0.0;
    vec2 sky = open_sky;
    if (face_kind.x == teeth_part && style == 9) {
        albedo = to_linear(texture(cloth, place).rgb) * vec3(1.55, 1.40, 1.20);
        albedo *= mix(0.35, 1.0, smoothstep(0.26, 0.385, rest_position.z));
        gloss = 0.12;
        sky = max(sky, vec2(0.62));
    } else if (face_kind.x == teeth_part) {
        albedo = vec3(0.80, 0.76, 0.66) * mix(0.55, 1.0, smoothstep(0.30, 0.385, rest_position.z));
        gloss = 0.10;
        sky = max(sky, vec2(0.62));
    } else if (face_kind.x == tongue_part) {
        albedo = vec3(0.46, 0.16, 0.15) * smoothstep(0.12, 0.36, rest_position.z);
        gloss = 0.04;
        sky = max(sky, vec2(0.5));
    } else if (style == 9) {
        albedo = to_linear(texture(cloth, place).rgb) * base_colour;
    } else if (style == 3) {
        bool band = place.y < 0.13;
        float rib = 0.5 + 0.5 * cos(place.x * (band ? 60.0 : 44.0));
        float row = 0.5 + 0.5 * cos(place.y * 170.0 + 1.5 * rib);
        float seam = smoothstep(0.0, 0.010, abs(place.y - 0.13));
        albedo *= mix(0.45, 1.0, rib) * mix(0.85, 1.0, row) * mix(0.4, 1.0, seam);
    } else if (style == 4) {
        float panel = smoothstep(0.0, 0.015, abs(fract(place.x * 6.0 / 6.2832 + 0.5) - 0.5));
        float stitch = smoothstep(0.03, 0.035, abs(fract(place.x * 6.0 / 6.2832 + 0.5) - 0.5));
        albedo *= mix(0.55, 1.0, panel) * mix(1.12, 1.0, stitch);
    } else if (style == 6) {
        // A bust: it ends in a curve before the picture does. What is left of the collar is its band.
        float below = neckline.x + neckline.y * rest_position.z - rest_position.y;
        if (place.x < 0.5 && below < -0.012) discard;
        albedo *= place.x < 0.5 ? 1.0 : 0.85 + 0.15 * cos(place.y * 420.0);
        if (rest_position.y < hem.x + hem.y * rest_position.x * rest_position.x) discard;
        if (!gl_FrontFacing) sky *= 0.35;
    } else if (style == 5) {
        gloss = 0.35;
    }
    vec3 light = light_on(n, sky, vec3(0.10));
    finish(albedo * light + gloss * shine_on(n, 30.0) * sky.y, 1.0, n);
}
