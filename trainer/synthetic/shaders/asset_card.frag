// Hair, brows and lashes: strands on cards, solid where dense and soft at their edges.
uniform sampler2D strands;
uniform vec3 strand_colour;
uniform float natural;      // share of the texture's own colour
uniform float brightness;   // one over the texture's mean
uniform float roundness;    // how much the normal is that of the whole hair
uniform vec3 hair_centre;
uniform vec2 ends;           // heights between which hair fades
uniform vec3 eye_at;         // the camera

void main() {
    vec4 t = texture(strands, place);
    vec3 own = to_linear(t.rgb);
    float grey = dot(own, vec3(0.35, 0.45, 0.2)) * brightness;
    vec3 albedo = mix(strand_colour * grey, own, natural);
    vec3 n = normalize(world_normal);
    // Where a surface of hair turns away it ends in strands, not in an edge of its mesh.
    float facing = abs(dot(n, normalize(eye_at - world_position)));
    float edge = smoothstep(0.0, 0.17, facing * (0.5 + 0.7 * min(grey, 1.6)));
    float covered = t.a * mix(1.0, edge, step(0.1, roundness));
    vec3 outward = normalize(world_position - hair_centre);
    if (dot(n, outward) < 0.0) n = -n;
    n = normalize(mix(n, outward, roundness));
    vec3 light = light_on(n, open_sky, vec3(0.30)) * mix(0.55, 1.0, open_sky.x);
    float band = pow(clamp(dot(n, GLOSS), 0.0, 1.0), 10.0) * grey * open_sky.y;
    // Hair is cut here, or long hair fades where the bust ends, within the picture.
    float inside = smoothstep(ends.x, ends.y, rest_position.y);
    finish(albedo * light + (0.10 * albedo + 0.012) * band, covered * inside, n);
}
