//! The colours of an article as a phone in dark mode shows them, about: WeChat's reader changes colours by rules of its
//! own, and these are simple ones that come near. Pictures keep theirs.

/// The HTML of an article with every colour of its styles given twice, as `light-dark(...)`.
pub(super) fn both(html: &str) -> String {
    let mut out = String::with_capacity(html.len() * 2);
    let mut rest = html;
    // Our writer escapes `<` and `>` in text and in attributes, so each pair of them is a tag.
    while let Some(start) = rest.find('<') {
        let end = rest[start..].find('>').map_or(rest.len(), |at| start + at);
        out.push_str(&rest[..start]);
        let tag = &rest[start..end];
        let style = tag.find(STYLE).map(|at| at + STYLE.len());
        match style.and_then(|from| tag[from..].find('"').map(|length| (from, from + length))) {
            Some((from, to)) => {
                out.push_str(&tag[..from]);
                out.push_str(&declarations(&tag[from..to]));
                out.push_str(&tag[to..]);
            }
            None => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

const STYLE: &str = " style=\"";

fn declarations(style: &str) -> String {
    let parts: Vec<String> = style.split(';').map(declaration).collect();
    parts.join(";")
}

fn declaration(declaration: &str) -> String {
    let Some((property, value)) = declaration.split_once(':') else { return declaration.to_owned() };
    let dark: fn(f64) -> f64 = match property {
        "color" => ink,
        _ if property.starts_with("background") || property.starts_with("border") => ground,
        _ => return declaration.to_owned(),
    };
    let words: Vec<String> = value
        .split(' ')
        .map(|word| match rgb(word) {
            Some(colour) => format!("light-dark({word},{})", changed(colour, dark)),
            None => word.to_owned(),
        })
        .collect();
    format!("{property}:{}", words.join(" "))
}

/// Letters: the dark ones become light.
fn ink(lightness: f64) -> f64 {
    if lightness < 0.6 { 0.82 - 0.3 * lightness } else { lightness }
}

/// Grounds and lines: the light ones become dark.
fn ground(lightness: f64) -> f64 {
    if lightness > 0.45 { 0.1 + 0.6 * (1.0 - lightness) } else { lightness }
}

/// `#rgb`, `#rrggbb`, `white` and `black`, each part from 0 to 1.
fn rgb(word: &str) -> Option<[f64; 3]> {
    let digits = match word {
        "white" => "fff",
        "black" => "000",
        _ => word.strip_prefix('#')?,
    };
    let wide: String = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => digits.to_owned(),
        _ => return None,
    };
    let number = u32::from_str_radix(&wide, 16).ok()?;
    Some([number >> 16, number >> 8, number].map(|part| f64::from(part & 0xff) / 255.0))
}

/// The same hue and saturation with another lightness.
fn changed([red, green, blue]: [f64; 3], lightness: fn(f64) -> f64) -> String {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    let (light, chroma) = (f64::midpoint(most, least), most - least);
    let saturation = if chroma == 0.0 { 0.0 } else { chroma / (1.0 - (2.0 * light - 1.0).abs()) };
    let hue = match () {
        () if chroma == 0.0 => 0.0,
        () if most == red => ((green - blue) / chroma).rem_euclid(6.0),
        () if most == green => (blue - red) / chroma + 2.0,
        () => (red - green) / chroma + 4.0,
    };
    format!("hsl({:.0} {:.0}% {:.0}%)", hue * 60.0, saturation * 100.0, lightness(light) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_there_twice_and_nothing_else_changes() {
        let html = "<p style=\"color:#000;margin:4px\">color:#000 style=\"color:#000\" &lt;b&gt;</p><section style=\"background-color:#ffffff;border:1px solid #d9dde3\"><img src=\"a\" alt=\"#fff\"></section>";
        assert_eq!(
            both(html),
            "<p style=\"color:light-dark(#000,hsl(0 0% 82%));margin:4px\">color:#000 style=\"color:#000\" &lt;b&gt;</p><section style=\"background-color:light-dark(#ffffff,hsl(0 0% 10%));border:1px solid light-dark(#d9dde3,hsl(216 15% 18%))\"><img src=\"a\" alt=\"#fff\"></section>"
        );
        for plain in ["", "no tag", "<p style=\"font-family:&quot;a&quot;,serif\">x</p>", "<hr>"] {
            assert_eq!(both(plain), plain);
        }
    }

    #[test]
    fn letters_become_light_and_grounds_dark() {
        assert!(ink(0.0) > 0.8 && ink(0.5) > 0.6 && ink(1.0) == 1.0);
        assert!(ground(1.0) < 0.11 && ground(0.95) < 0.2 && ground(0.3) == 0.3);
        assert_eq!(rgb("#07c"), rgb("#0077cc"));
        assert_eq!(rgb("rgb(0,0,0)"), None);
        assert_eq!(changed([1.0, 0.0, 0.0], |l| l), "hsl(0 100% 50%)");
        assert_eq!(changed([0.0, 0.0, 1.0], |l| l), "hsl(240 100% 50%)");
    }
}
